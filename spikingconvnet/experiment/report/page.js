"use strict";
(() => {
/* Draws the page from the block of JSON in it. Texts from data are only ever set as text. */

const SVG = "http://www.w3.org/2000/svg";                       // a name, nothing is fetched
const DATA = JSON.parse(document.getElementById("data").textContent);
const TWO = DATA.runs.length > 1;
const SILENT = 255, NOBODY = 65535, PAGE = 60, LARGEST = 16;
// viridis and RdBu_r of matplotlib, as in the package's figures.
const VIRIDIS = ["#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#28ae80", "#5ec962", "#addc30", "#fde725"].map(rgb);
const DIVERGING = ["#053061", "#2166ac", "#4393c3", "#92c5de", "#d1e5f0", "#f7f7f7", "#fddbc7", "#f4a582", "#d6604d", "#b2182b",
  "#67001f"].map(rgb);

// ---------------------------------------------------------------- elements

function h(tag, props = {}, ...kids) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  add(node, kids);
  return node;
}

function add(node, kids) {
  for (const kid of kids.flat(Infinity)) {
    if (kid !== null && kid !== undefined && kid !== false) node.append(kid instanceof Node ? kid : String(kid));
  }
}

function s(tag, attributes = {}, ...kids) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null && value !== undefined) node.setAttribute(name, value);
  add(node, kids);
  return node;
}

const live = [];                                                // what is drawn anew when the page's width or colours change

function drawn(node, draw) {
  const again = () => node.replaceChildren(...[draw()].flat(Infinity).filter(Boolean));
  node.redraw = again;
  live.push(again);
  again();
  return node;
}

function redrawAll() { for (const again of live) again(); }

function room(most = 720) {
  const all = Math.min(document.documentElement.clientWidth, 1312);
  const narrow = window.matchMedia("(max-width: 45rem)").matches;
  return Math.max(240, Math.min(most, (TWO && !narrow ? all / 2 : all) - (narrow ? 40 : 80)));
}

// ---------------------------------------------------------------- numbers

const whole = (n) => Math.round(n).toLocaleString("en");
const percent = (share) => share === null || share === undefined ? "–" : `${(100 * share).toFixed(2)} %`;
const short = (x) => Number.isInteger(x) && Math.abs(x) < 1e7 ? whole(x) : String(Number(x.toPrecision(4)));
const counted = (n, noun) => `${whole(n)} ${noun}${n === 1 ? "" : "s"}`;

function unpack(block) {
  if (!block) return null;
  if (block.values) return block.values;
  const text = atob(block.data), bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  const raw = block.type === "u1" ? bytes : new (block.type === "u2" ? Uint16Array : Uint32Array)(bytes.buffer);
  block.values = block.steps ? Float64Array.from(raw, (n) => block.low + n * (block.high - block.low) / block.steps) : raw;
  return block.values;
}

function ticks(low, high, wanted = 4) {
  if (!(high > low)) return [low];
  const rough = (high - low) / wanted, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough);
  const found = [];
  for (let t = Math.ceil(low / step) * step; t <= high + 1e-9 * step; t += step) found.push(Math.abs(t) < 1e-9 * step ? 0 : t);
  return found;
}

// ---------------------------------------------------------------- colours

function rgb(hex) { return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)); }
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const isDark = () => window.matchMedia("(prefers-color-scheme: dark)").matches;

function between(stops, share) {
  const at = Math.max(0, Math.min(1, share)) * (stops.length - 1), k = Math.min(Math.floor(at), stops.length - 2);
  return stops[k].map((value, i) => Math.round(value + (at - k) * (stops[k + 1][i] - value)));
}

const luminance = ([r, g, b]) => [r, g, b].map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
  .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
const inkOn = (colour) => luminance(colour) > 0.179 ? "#000000" : "#ffffff";
const text = (colour) => `rgb(${colour.join(" ")})`;
const byTime = (share) => between(VIRIDIS, isDark() ? 0.3 + 0.7 * share : 0.85 * share);

function canvas(width, height, label, scale = 1) {
  const node = h("canvas", {width, height, role: "img", "aria-label": label});
  node.style.width = `${width * scale}px`;
  return node;
}

function paint(node, colourOf) {
  const context = node.getContext("2d"), image = context.createImageData(node.width, node.height);
  for (let i = 0; i < node.width * node.height; i++) {
    const [r, g, b] = colourOf(i);
    image.data.set([r, g, b, 255], 4 * i);
  }
  context.putImageData(image, 0, 0);
  return node;
}

function scaleBar(low, high, unit, stops) {
  const bar = paint(h("canvas", {width: 64, height: 1, "aria-hidden": "true"}), (i) => between(stops, i / 63));
  return h("span", {class: "scale"}, short(low), bar, `${short(high)} ${unit}`);
}

// ---------------------------------------------------------------- charts

function chart({lines = [], areas = [], marks = [], xs, low, high, width = room(), height = 190, xLabel = "", yLabel = "", label,
  cursor = null}) {
  const left = 54, right = 10, top = 8, bottom = 36;
  const all = [...lines, ...areas].flatMap((one) => [...one.values, ...(one.base || [])]).filter(Number.isFinite);
  const least = low ?? Math.min(...all), most = high ?? Math.max(...all);
  const pad = low === undefined || high === undefined ? 0.06 * ((most - least) || Math.abs(most) || 1) : 0;
  const from = low ?? least - pad, to = high ?? most + pad;
  const first = xs[0], last = xs[xs.length - 1];
  const x = (value) => left + (last > first ? (value - first) / (last - first) : 0.5) * (width - left - right);
  const y = (value) => top + (1 - (value - from) / ((to - from) || 1)) * (height - top - bottom);
  const svg = s("svg", {viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": label});
  for (const tick of ticks(from, to)) {
    svg.append(s("line", {x1: left, x2: width - right, y1: y(tick), y2: y(tick), stroke: css("soft")}),
      s("text", {x: left - 6, y: y(tick) + 4, "text-anchor": "end", class: "dim"}, short(tick)));
  }
  for (const tick of ticks(first, last, Math.max(2, Math.floor(width / 90)))) {
    svg.append(s("text", {x: x(tick), y: height - bottom + 16, "text-anchor": "middle", class: "dim"}, short(tick)));
  }
  svg.append(s("text", {x: (left + width - right) / 2, y: height - 3, "text-anchor": "middle", class: "dim"}, xLabel),
    s("text", {x: 0, y: 0, transform: `translate(11 ${(top + height - bottom) / 2}) rotate(-90)`, "text-anchor": "middle", class: "dim"},
      yLabel));
  const path = (values) => values.map((v, i) => Number.isFinite(v) ? `${i && Number.isFinite(values[i - 1]) ? "L" : "M"}${x(xs[i]).toFixed(1)} ${
    y(v).toFixed(1)}` : "").join("");
  for (const {values, base, colour} of areas) {
    const back = base.map((v, i) => `L${x(xs[i]).toFixed(1)} ${y(v).toFixed(1)}`).reverse().join("");
    svg.append(s("path", {d: `${path(values)}${back}Z`, fill: colour, stroke: "none"}));
  }
  for (const {values, colour, thick = 1.5, dash, faint} of lines) {
    const list = Array.from(values);
    svg.append(list.length === 1 ? s("circle", {cx: x(xs[0]), cy: y(list[0]), r: 3, fill: colour})
      : s("path", {d: path(list), fill: "none", stroke: colour, "stroke-width": thick, "stroke-dasharray": dash, opacity: faint}));
  }
  for (const at of marks) svg.append(s("line", {x1: x(at), x2: x(at), y1: top, y2: top + 12, stroke: css("red"), "stroke-width": 2}));
  if (cursor !== null) {
    svg.append(s("line", {x1: x(cursor), x2: x(cursor), y1: top, y2: height - bottom, stroke: css("text"), "stroke-dasharray": "3 3"}));
  }
  return svg;
}

function legend(entries) {
  return h("div", {class: "legend"}, entries.map(([name, colour]) => {
    const mark = h("i");
    mark.style.background = colour;
    return h("span", {}, mark, name);
  }));
}

function figure(caption, ...kids) { return h("figure", {}, h("figcaption", {}, caption), kids); }
function missing(list) {
  return (list || []).map(({what, command}) => h("div", {class: "missing"}, h("p", {}, `Missing: ${what}. Run:`), h("pre", {}, command)));
}

function select(label, options, change, value) {
  const node = h("select", {onchange: () => change(node.value)}, options.map(([key, name]) => h("option", {value: key}, name)));
  if (value !== undefined) node.value = value;
  return h("label", {}, label, node);
}

const dialog = document.getElementById("dialog");
function open(title, ...kids) {
  dialog.replaceChildren(h("h2", {id: "dialog-title"}, title), ...kids.flat(Infinity).filter(Boolean),
    h("p", {}, h("button", {type: "button", onclick: () => dialog.close()}, "Close")));
  dialog.showModal();
}

// ---------------------------------------------------------------- images

function signed(first, at, size, k, steps) {
  const strength = (c) => first[at + c * size + k] === SILENT ? 0 : 1 - first[at + c * size + k] / steps;
  return strength(0) - strength(1);
}

function picture(run, row, scale) {
  const {shape: [channels, rows, columns], list} = run.images, [index, truth, answer] = list[row];
  const grey = run.images.grey, place = grey ? grey.index.indexOf(index) : -1;
  const label = `${run.images.split} image ${index}, ${run.classes[truth]}${answer < 0 ? "" : `, taken for ${run.classes[answer]}`}`;
  if (place >= 0) {
    const [, height, width] = grey.shape, values = unpack(grey), at = place * height * width;
    return paint(canvas(width, height, label, scale * columns / width), (i) => Array(3).fill(values[at + i]));
  }
  const first = unpack(run.images.first), size = rows * columns, at = row * channels * size, steps = run.samples.n_steps;
  if (Math.min(rows, columns) === 1) {                          // a row of numbers, not a picture: a column for each
    const wide = size === 1 ? Math.ceil(Math.sqrt(channels)) : size, high = Math.ceil(channels * size / wide);
    return paint(canvas(wide, high, label, scale * Math.max(rows, columns) / Math.max(wide, high)),
      (i) => i >= channels * size || first[at + i] === SILENT ? rgb(css("bg")) : byTime(first[at + i] / steps));
  }
  const node = canvas(columns, rows, label, scale);
  if (channels === 2) return paint(node, (i) => between(DIVERGING, 0.5 + 0.5 * signed(first, at, size, i, steps)));
  if (channels === 3) {
    return paint(node, (i) => [0, 1, 2].map((c) => first[at + c * size + i] === SILENT ? 0 : 255 * (1 - first[at + c * size + i] / steps)));
  }
  return paint(node, (i) => {
    let best = SILENT;
    for (let c = 0; c < channels; c++) best = Math.min(best, first[at + c * size + i]);
    return best === SILENT ? rgb(css("bg")) : byTime(best / steps);
  });
}

const zoom = (run, side) => Math.max(1, side / Math.max(run.images.shape[1], run.images.shape[2]));
function name(run, row) {
  const [index, truth, answer] = run.images.list[row];
  return answer < 0 ? `image ${index}: ${run.classes[truth]}` : truth === answer ? `image ${index}: ${run.classes[truth]}, recognised`
    : `image ${index}: ${run.classes[truth]}, taken for ${run.classes[answer]}`;
}

// ---------------------------------------------------------------- sections

function about(run) {
  const {about: told} = run;
  const pairs = [["data", told.data], ["images", Object.entries(told.images).map(([part, n]) => `${whole(n)} ${part}`).join(", ")],
    ["seed", told.seed], ["learned by", told.rules.join(", ") || "nothing yet"], ["on", told.machines.join(", ") || "–"],
    ["made with", Object.entries(told.versions).map(([library, version]) => `${library} ${version}`).join(", ")],
    ["time", Object.entries(told.seconds).map(([mode, time]) => `${mode} ${short(time)} s`).join(", ") || "not kept"],
    ["run directory", told.directory]];
  const sets = Object.entries(told.sets).map(([key, value]) => `${key}=${value}`).join(", ");
  return [h("div", {class: "scroll", tabindex: 0}, h("table", {class: "words"}, pairs.map(([key, value]) => h("tr", {}, h("th", {scope: "row"}, key),
    h("td", {}, value))), sets ? h("tr", {}, h("th", {scope: "row"}, "--set"), h("td", {}, sets)) : null)),
  h("h3", {}, "Commands"), told.commands.map(({what, command}) => [h("p", {}, `${what}:`), h("pre", {tabindex: 0}, command)]),
  h("details", {}, h("summary", {}, `All ${told.settings.length} settings`), h("div", {class: "scroll", tabindex: 0}, h("table", {class: "words"},
    told.settings.map(([key, value]) => h("tr", {}, h("th", {scope: "row"}, key), h("td", {}, value))))))];
}

function meter(share) {
  const bar = h("span"), node = h("span", {class: "meter", "aria-hidden": "true"}, bar);
  bar.style.width = `${100 * share}%`;
  return node;
}

function result(run) {
  const told = run.result;
  if (told.missing) return missing(told.missing);
  const right = Math.round(told.accuracy * told.n);
  const verdict = told.verdict ? h("p", {class: told.verdict === "valid" ? "good" : "bad"}, `On the board: ${told.verdict}`) : null;
  const own = told.on_board;
  const floors = [[own ? "this network, classified by the host" : "this network", told.accuracy],
    ...(own ? [["answers of the classifier on the board", own.accuracy]] : []), ...told.floors.map(({name: floor, share, run: of}) => [of ? `${floor}, from ${of}` : floor, share]),
    ...(told.train === null || told.train === undefined ? [] : [["the classifier on its training images", told.train]]),
    ...Object.entries(told.other).map(([split, share]) => [`${split} images`, share])];
  return [h("p", {}, h("span", {class: "big"}, percent(told.accuracy)), ` of ${whole(told.n)} ${told.split} images (${whole(right)} right, ${
    whole(told.n - right)} missed)`), verdict,
  h("div", {class: "panels"},
    h("div", {class: "scroll", tabindex: 0}, h("table", {}, h("caption", {}, "Accuracy beside its floors"), floors.map(([what, share]) =>
      h("tr", {}, h("th", {scope: "row"}, what), h("td", {}, percent(share)), h("td", {}, meter(share))))),
    told.accuracy_by_half && h("p", {class: "dim"}, `First half ${percent(told.accuracy_by_half[0])}, second half ${percent(told.accuracy_by_half[1])}.`),
    own && h("p", {class: "dim"}, `Board and host agree in ${percent(own.agreement)}${own.latency === null ? "" : `; the board answers ${
      own.latency.toFixed(1)} steps after an image begins`}${own.unanswered ? `; ${counted(own.unanswered, "image")} without an answer` : ""}.`),
    told.floor_commands.length ? h("details", {}, h("summary", {}, "Floors that are not computed yet"), told.floor_commands.map(({what, command}) =>
      [h("p", {class: "dim"}, `${what}:`), h("pre", {tabindex: 0}, command)])) : null),
    h("div", {class: "scroll", tabindex: 0}, h("table", {}, h("caption", {}, "By class: share recognised (recall), share of its answers that are right (precision)"),
      h("tr", {}, ["class", "images", "recall", "", "precision"].map((title) => h("th", {scope: "col"}, title))),
      told.rows.map((row) => h("tr", {}, h("th", {scope: "row"}, row.name), h("td", {}, whole(row.n)), h("td", {}, percent(row.recall)),
        h("td", {}, meter(row.recall || 0)), h("td", {}, percent(row.precision)))))),
    told.confusion ? drawn(h("div", {class: "scroll", tabindex: 0}), () => confusion(run)) : confusions(run)),
  told.over_time && overTime(told.over_time)];
}

function confusion(run) {
  const {confusion: matrix, classes, places} = run.result;
  const back = rgb(css("bg")), blue = rgb("#0072B2");
  const cell = (i, j, n, total) => {
    const share = Math.sqrt(total ? n / total : 0), colour = back.map((c, k) => Math.round(c + share * (blue[k] - c)));
    if (!n) return h("td", {class: "zero"}, "0");
    const node = h("td", {}, h("button", {type: "button", onclick: () => run.filter(places[i], places[j]), "aria-label": `${counted(n, "image")} of ${
      classes[i]} taken for ${classes[j]}: show`}, whole(n)));
    node.style.background = text(colour);
    node.style.color = inkOn(colour);
    return node;
  };
  return [h("p", {class: "dim"}, "Confusion: true class down, answer across; press a number to see its images"),
    h("table", {class: "confusion"}, h("tr", {}, h("td"), classes.map((title) => h("th", {scope: "col"}, title))),
    matrix.map((row, i) => h("tr", {}, h("th", {scope: "row"}, classes[i]), row.map((n, j) => cell(i, j, n, row.reduce((a, b) => a + b, 0))))))];
}

function confusions(run) {
  const {confusions: pairs, classes, places} = run.result;
  return h("div", {}, h("p", {}, `${whole(classes.length)} classes: the most frequent confusions; press one to see its images`),
    h("div", {class: "cards"}, pairs.map(([i, j, n]) => h("button", {type: "button", onclick: () => run.filter(places[i], places[j])},
      `${classes[i]} taken for ${classes[j]}: ${whole(n)}`))));
}

function overTime(told) {
  return [h("h3", {}, "Accuracy while an image is shown"), drawn(h("div"), () => chart({xs: told.steps, lines: [{values: told.accuracy.map((a) => 100 * a),
    colour: css("blue"), thick: 2}], low: 0, high: 100, xLabel: "steps since the image began", yLabel: "accuracy (%)",
  label: `accuracy over time, at the end ${percent(told.accuracy[told.accuracy.length - 1])}`})),
  h("p", {class: "dim"}, `Spikes an image: ${Object.entries(told.spikes).map(([label, n]) => `${whole(n)} ${label}`).join(", ")}.`)];
}

function gallery(run, r) {
  const {images} = run, classes = run.classes.map((title, k) => [k, title]);
  const state = {truth: -1, answer: -1, kind: images.wrong ? "missed" : "all", shown: PAGE};
  const kinds = images.all_wrong === null ? [["all", "all"]] : [["missed", "missed"], ["right", "recognised"], ["all", "all"]];
  const status = h("p", {class: "dim", "aria-live": "polite"}), cards = h("div", {class: "cards"});
  const controls = h("div", {class: "row"});
  const chosen = () => images.list.map((one, row) => row).filter((row) => {
    const [, truth, answer] = images.list[row];
    return (state.kind === "all" || (state.kind === "missed") === (truth !== answer)) && (state.truth < 0 || truth === state.truth)
      && (state.answer < 0 || answer === state.answer);
  });
  const show = () => {
    const rows = chosen(), few = rows.slice(0, state.shown);
    const all = images.all_wrong === null ? ` of ${whole(images.n)}` : `; of ${whole(images.n)} ${images.split} images ${
      whole(images.all_wrong)} were missed, ${whole(images.wrong)} of them are on this page`;
    status.textContent = `${counted(rows.length, "image")}${all}`;
    cards.replaceChildren(...few.map((row) => {
      const [index, truth, answer] = images.list[row];
      return h("button", {type: "button", class: "card", onclick: () => run.look(row)}, picture(run, row, zoom(run, 62)),
        h("span", {}, answer < 0 ? run.classes[truth] : `${run.classes[truth]} → ${run.classes[answer]}`), h("span", {class: "dim"}, index));
    }), ...(rows.length > few.length ? [h("button", {type: "button", onclick: () => { state.shown += PAGE; show(); }}, "More")] : []));
  };
  const put = () => {
    controls.replaceChildren(select("Show", kinds, (value) => { state.kind = value; state.shown = PAGE; show(); }, state.kind),
      select("true class", [[-1, "any"], ...classes], (value) => { state.truth = Number(value); show(); }, state.truth),
      ...(images.all_wrong === null ? [] : [select("answer", [[-1, "any"], ...classes], (value) => { state.answer = Number(value); show(); }, state.answer)]));
    show();
  };
  run.filter = (truth, answer) => {
    Object.assign(state, {truth, answer, kind: truth === answer ? "right" : "missed", shown: PAGE});
    put();
    document.getElementById(`images-${r}`).scrollIntoView();
    (cards.querySelector("button") || controls.querySelector("select")).focus({preventScroll: true});
  };
  live.push(show);
  put();
  const seen = images.grey ? "Pictures are as stored where the run keeps them (the first 64); the others are drawn from their input spikes"
    : "Images are drawn from their input spikes";
  const legends = images.shape[0] === 2 ? `: red ${images.channels[0]}, blue ${images.channels[1]}, the earlier the stronger.` : ".";
  return [missing(images.missing), h("p", {class: "dim"}, seen + legends), controls, status, cards];
}

// ---------------------------------------------------------------- step by step

function spikesOf(population, sample, steps) {
  if (!population.offsets) {
    const counts = unpack(population.counts);
    population.offsets = new Uint32Array(counts.length + 1);
    for (let i = 0; i < counts.length; i++) population.offsets[i + 1] = population.offsets[i] + counts[i];
  }
  const neurons = unpack(population.neurons), events = [];
  for (let t = 0; t < steps; t++) {
    const at = sample * steps + t;
    for (let e = population.offsets[at]; e < population.offsets[at + 1]; e++) events.push([t, neurons[e]]);
  }
  return events;
}

function tiling([channels, rows, columns]) {
  if (rows * columns === 1) {
    const wide = Math.ceil(Math.sqrt(channels));
    return {width: wide, height: Math.ceil(channels / wide), place: (neuron) => neuron, inside: (i) => i < channels};
  }
  const across = Math.max(1, Math.ceil(Math.sqrt(channels * (rows + 1) / (columns + 1)))), down = Math.ceil(channels / across);
  const width = across * (columns + 1) - 1, height = down * (rows + 1) - 1, area = rows * columns;
  return {width, height,
    place: (neuron) => {
      const map = Math.floor(neuron / area), rest = neuron % area;
      return (Math.floor(map / across) * (rows + 1) + Math.floor(rest / columns)) * width + (map % across) * (columns + 1) + rest % columns;
    },
    inside: (i) => {
      const row = Math.floor(i / width), column = i % width, map = Math.floor(row / (rows + 1)) * across + Math.floor(column / (columns + 1));
      return row % (rows + 1) < rows && column % (columns + 1) < columns && map < channels;
    }};
}

function population(one, sample, step, steps, side) {
  const {width, height, place, inside} = tiling(one.shape), events = spikesOf(one, sample, steps);
  const latest = new Int16Array(width * height).fill(-1);
  let until = 0, now = 0;
  for (const [t, neuron] of events) {
    if (t > step) break;
    latest[place(neuron)] = t;
    until += 1;
    now += t === step;
  }
  const back = rgb(css("bg")), gap = rgb(css("soft")), flash = rgb(css("red"));
  const [maps, rows, columns] = one.shape, form = rows * columns === 1 ? counted(maps, "unit") : `${counted(maps, "map")} of ${rows} × ${columns}`;
  const told = `${one.label}, ${form}: ${counted(until, "spike")} so far, ${whole(now)} now`;
  const node = canvas(width, height, told, Math.max(1, Math.min(12, side / width)));
  paint(node, (i) => !inside(i) ? gap : latest[i] < 0 ? back : latest[i] === step ? flash : byTime(latest[i] / steps));
  return figure(told, node);
}

function viewer(run, r) {
  const {samples} = run, steps = samples.n_steps, rows = new Map(run.images.list.map(([index], row) => [index, row]));
  const state = {sample: 0, step: steps - 1, layer: 0, neuron: null, timer: null};
  const row = () => rows.get(samples.index[state.sample]);
  const options = samples.index.map((index, k) => [k, name(run, rows.get(index))]);
  const picker = h("select", {onchange: () => go(Number(picker.value))}, options.map(([key, title]) => h("option", {value: key}, title)));
  const slider = h("input", {type: "range", min: 0, max: steps - 1, value: state.step, "aria-label": "step",
    oninput: () => { state.step = Number(slider.value); draw(); }});
  const clock = h("output", {"aria-live": "off"});
  const play = h("button", {type: "button", "aria-pressed": "false", onclick: () => state.timer ? stop() : start()}, "Play");
  const layersOf = drawn(h("div", {class: "panels"}), () => [figure(name(run, row()), picture(run, row(), zoom(run, 140))),
    samples.populations.map((one) => population(one, state.sample, state.step, steps, room(one.shape[0] > 8 ? 480 : 300)))]);
  const votes = drawn(h("div"), () => votesOf(run, state, row()));
  const trace = samples.membranes.layers.length ? h("div") : null;
  state.trace = trace;
  if (trace) drawn(trace, () => membranes(run, state));

  function draw() {
    slider.value = state.step;
    picker.value = state.sample;
    clock.textContent = `step ${state.step} of ${steps - 1}`;
    slider.setAttribute("aria-valuetext", clock.textContent);
    for (const node of [layersOf, votes, trace]) if (node) node.redraw();
  }
  function go(sample) { state.sample = (sample + samples.index.length) % samples.index.length; draw(); }
  function start() {
    if (state.step >= steps - 1) state.step = -1;
    state.timer = setInterval(() => { state.step += 1; draw(); if (state.step >= steps - 1) stop(); }, 250);
    play.setAttribute("aria-pressed", "true");
    play.textContent = "Pause";
  }
  function stop() {
    clearInterval(state.timer);
    state.timer = null;
    play.setAttribute("aria-pressed", "false");
    play.textContent = "Play";
  }
  run.look = (at) => {
    const sample = samples.index.indexOf(run.images.list[at][0]);
    if (sample < 0) {
      open(name(run, at), picture(run, at, zoom(run, 300)), h("p", {}, `The spikes of ${counted(samples.index.length, "image")} are on this page, not those of this one.`));
      return;
    }
    go(sample);
    document.getElementById(`steps-${r}`).scrollIntoView();
    slider.focus({preventScroll: true});
  };
  draw();
  const agreement = samples.agreement;
  return [missing(samples.missing),
    h("p", {class: "dim"}, `Computed by the local engine${samples.before ? `, each image behind the ${samples.before} that stood before it` : ""}. Red fires in this step; before it, dark is early`
      + ` and bright is late.${agreement ? ` The spikes counted are those of the stored test in ${agreement.same} of ${agreement.of} images.` : ""}`),
    h("div", {class: "row"}, h("button", {type: "button", onclick: () => go(state.sample - 1)}, "Previous"), h("label", {}, "Image", picker),
      h("button", {type: "button", onclick: () => go(state.sample + 1)}, "Next")),
    h("div", {class: "row"}, play, h("label", {}, "Time", slider), clock), layersOf,
    h("h3", {}, "The vote"), votes, h("h3", {}, "Membranes"),
    trace, samples.membranes.left_out ? h("p", {class: "dim"}, `Left out: ${samples.membranes.left_out}.`) : null];
}

function votesOf(run, state, row) {
  const {samples, classes} = run, steps = samples.n_steps, n = classes.length;
  const [, truth, answer] = run.images.list[row];
  if (!samples.votes) return h("p", {}, "Nothing reads the last layer yet.");
  const scores = unpack(samples.votes.scores), leads = unpack(samples.votes.leads), at = state.sample * steps;
  const score = (t, k) => scores[(at + t) * n + k], leader = leads[at + state.step];
  const order = classes.map((title, k) => k).sort((a, b) => score(state.step, b) - score(state.step, a) || a - b);
  const here = leads[at + steps - 1], xs = Array.from({length: steps}, (_, t) => t);
  const colour = (k) => k === truth ? css("green") : k === here ? css("orange") : css("grey");
  const lines = classes.map((title, k) => k).sort((a, b) => (a === truth || a === here) - (b === truth || b === here)).map((k) => ({
    values: xs.map((t) => score(t, k)), colour: colour(k), thick: k === truth || k === here ? 2.5 : 1, dash: k === here && k !== truth ? "6 3" : null}));
  const least = Math.min(...order.map((k) => score(state.step, k))), most = Math.max(...order.map((k) => score(state.step, k)));
  const bar = (k) => {
    const node = meter(most > least ? (score(state.step, k) - least) / (most - least) : 0);
    if (k === leader) node.firstChild.className = "best";
    return node;
  };
  const told = leader === NOBODY ? "nobody yet" : classes[leader];
  const kept = answer >= 0 && answer !== here ? ` In the stored test the answer was ${classes[answer]}.` : "";
  return [h("p", {}, "True class ", h("strong", {}, classes[truth]), ", leading now: ", h("strong", {class: leader === truth ? "good" : "bad"}, told),
    `, answer at the end: ${here === NOBODY ? "none" : classes[here]}.${kept}`),
  h("div", {class: "panels"}, h("div", {}, chart({xs, lines, width: room(560), xLabel: "step", yLabel: samples.votes.unit, cursor: state.step,
    label: `votes over time, leading ${told}`}), legend([["true class", css("green")], ["answer, if it is another (dashed)", css("orange")], ["other classes", css("grey")]])),
  h("div", {class: "scroll", tabindex: 0}, h("table", {}, h("caption", {}, samples.votes.unit), order.slice(0, 10).map((k) => h("tr", {},
    h("th", {scope: "row"}, classes[k]), h("td", {}, bar(k)), h("td", {}, score(state.step, k).toFixed(2)))))))];
}

function membranes(run, state) {
  const {samples, model} = run, steps = samples.n_steps, {layers, samples: few} = samples.membranes;
  state.layer = Math.min(state.layer, layers.length - 1);
  const layer = layers[state.layer], shape = model.nodes.find((node) => node.label === layer.label).shape;
  const fires = new Map(layer.neurons.map((id) => [id, 0])), one = samples.populations.find(({label}) => label === layer.label);
  for (const [, neuron] of spikesOf(one, state.sample, steps)) if (fires.has(neuron)) fires.set(neuron, fires.get(neuron) + 1);
  if (state.neuron === null) state.neuron = layer.neurons.reduce((best, id, k) => fires.get(id) > fires.get(layer.neurons[best]) ? k : best, 0);
  const place = (id) => {
    const area = shape[1] * shape[2], map = Math.floor(id / area), rest = id % area;
    const last = layer.label === model.nodes[model.nodes.length - 1].label && shape[0] === run.classes.length && area === 1;
    return area === 1 ? (last ? `unit ${map} (${run.classes[map]})` : `unit ${map}`) : `map ${map}, row ${Math.floor(rest / shape[2])}, column ${rest % shape[2]}`;
  };
  const change = (set, place) => {
    set();
    state.trace.redraw();
    [...state.trace.querySelectorAll("select")].at(place).focus();
  };
  const controls = h("div", {class: "row"}, layers.length > 1 ? select("Layer", layers.map(({label}, k) => [k, label]), (value) => change(() => {
    state.layer = Number(value); state.neuron = null; }, 0), state.layer) : null,
  select("Neuron", layer.neurons.map((id, k) => [k, `${place(id)}: ${counted(fires.get(id), "spike")}`]), (value) => change(() => { state.neuron = Number(value); }, -1), state.neuron));
  if (state.sample >= few) return [controls, h("p", {}, `Membranes are there of the first ${few} images of the list above.`)];
  const n = layer.neurons.length, v = unpack(layer.v), at = state.sample * steps, threshold = layer.thresholds[state.neuron];
  const xs = Array.from({length: steps}, (_, t) => t), values = xs.map((t) => v[(at + t) * n + state.neuron]);
  const id = layer.neurons[state.neuron];
  const fired = spikesOf(one, state.sample, steps).filter(([, neuron]) => neuron === id).map(([t]) => t);
  const high = Math.max(...values), low = Math.min(...values), far = threshold > high + 5 * Math.max(high - low, 10);
  return [controls, chart({xs, lines: [{values, colour: css("blue"), thick: 2}, ...(far ? [] : [{values: xs.map(() => threshold),
    colour: css("orange"), dash: "6 3"}])], marks: fired, cursor: state.step, xLabel: "step", yLabel: "membrane (mV)",
  label: `membrane of ${layer.label}, ${place(id)}: ${counted(fired.length, "spike")}, threshold ${short(threshold)} mV`}),
  legend([["membrane before the input of each step", css("blue")], [`threshold ${short(threshold)} mV${far ? ", out of range" : ""} (dashed)`, css("orange")],
    [`${counted(fired.length, "spike")} (marks at the top)`, css("red")]])];
}

// ---------------------------------------------------------------- model

function model(run) {
  const {nodes, edges, readout, classes} = run.model;
  return [drawn(h("div"), () => drawing(run, nodes, edges, readout)), h("div", {class: "scroll", tabindex: 0}, h("table", {},
    h("caption", {}, "Layers"), h("tr", {}, ["layer", "shape", "neurons", "weights", "synapses", "spikes an image", "mean of"].map((title) => h("th", {scope: "col"}, title))),
    nodes.map((node) => h("tr", {}, h("th", {scope: "row"}, node.label), h("td", {}, node.shape.join(" × ")), ...["neurons", "weights", "synapses"].map((key) =>
      h("td", {}, node[key] ? whole(node[key]) : "–")), h("td", {}, node.spikes ? whole(node.spikes[0]) : "–"), h("td", {}, node.spikes ? node.spikes[1] : "–"))))),
  h("p", {class: "dim"}, `Read out by ${readout.replace(/\s+/g, " ")}, ${whole(classes)} classes.`)];
}

function drawing(run, nodes, edges, readout) {
  const width = room(760), tall = 104, gap = 44, all = [...nodes, {label: "answer", readout}];
  const height = all.length * (tall + gap) - gap + 4, left = width > 420 ? 150 : 96, side = edges.some((edge) => edge.shortcut || edge.to - edge.from > 1) ? 40 : 2;
  const svg = s("svg", {viewBox: `0 0 ${width} ${height}`, width, height, role: "img",
    "aria-label": `model: ${nodes.map((node) => `${node.label} ${node.shape.join(" by ")}`).join(", then ")}`});
  const top = (k) => 2 + k * (tall + gap);
  const arrow = (k, label) => {
    const x = left / 2, from = top(k) - gap, to = top(k);
    svg.append(s("path", {d: `M${x} ${from}V${to - 7}m-5 -1l5 7l5 -7z`, stroke: css("dim"), fill: css("dim"), "stroke-width": 1.5}),
      s("text", {x: x + 12, y: (from + to) / 2 + 4, class: "dim"}, label));
  };
  all.forEach((node, k) => {
    svg.append(s("rect", {x: 1, y: top(k), width: width - side, height: tall, rx: 6, fill: css("bg"), stroke: css("line")}));
    planes(svg, node, left, top(k), tall);
    const lines = node.readout ? ["answer", node.readout.replace(/\s+/g, " ")] : [`${node.label}  ${node.shape.join(" × ")}`, node.text,
      node.neurons ? `${counted(node.neurons, "neuron")}, ${whole(node.weights)} weights` : "", node.synapses ? `${whole(node.synapses)} synapses` : "",
      node.spikes ? `${whole(node.spikes[0])} spikes an image` : ""];
    const fit = Math.floor((width - left - side) / 6.6);
    lines.filter(Boolean).forEach((line, i) => svg.append(s("text", {x: left, y: top(k) + 20 + 18 * i, "font-weight": i ? 400 : 650},
      line.length > fit ? `${line.slice(0, fit - 1)}…` : line)));
  });
  for (const edge of edges) {
    const straight = edge.to - edge.from === 1 && !edge.shortcut;
    if (straight) { arrow(edge.to, edge.text); continue; }
    const y1 = top(edge.from) + tall * 0.75, y2 = top(edge.to) + tall * 0.3, x = width - side + 1;
    svg.append(s("path", {d: `M${x} ${y1}C${x + 40} ${y1} ${x + 40} ${y2} ${x + 6} ${y2}m6 -5l-7 5l7 5`, fill: "none", stroke: css("purple"), "stroke-width": 2}));
  }
  arrow(all.length - 1, "");
  return svg;
}

function planes(svg, node, left, top, tall) {
  const [maps, rows, columns] = node.shape || [1, 1, 1], flat = rows * columns === 1;
  const n = flat ? 1 : Math.min(5, maps), scale = flat ? 1 : Math.min((tall - 36) / rows, (left - 44) / columns, 3);
  const height = flat ? tall - 30 : Math.max(5, rows * scale), width = flat ? 10 : Math.max(5, columns * scale);
  for (let i = n - 1; i >= 0; i--) {
    svg.append(s("rect", {x: 14 + 5 * i, y: top + (tall - height) / 2 + 8 - 5 * i, width, height, fill: css("panel"), stroke: css("blue"), "stroke-width": 1.5}));
  }
}

// ---------------------------------------------------------------- kernels

function values(block, filter, channel) {
  const [, channels, rows, columns] = block.shape, size = rows * columns;
  return unpack(block).subarray((filter * channels + channel) * size, (filter * channels + channel + 1) * size);
}

function oneChannel(block, filter) {
  const [, channels] = block.shape, first = values(block, filter, 0);
  if (channels === 1) return first;
  if (channels === 2) return first.map((v, i) => v - values(block, filter, 1)[i]);
  const sum = new Float64Array(first.length);
  for (let c = 0; c < channels; c++) values(block, filter, c).forEach((v, i) => { sum[i] += v / channels; });
  return sum;
}

const ways = {after: "after training", before: "before training", change: "after minus before", fields: "what they see of the input"};

function kernelSets(layer) {
  const sets = {...layer.kernels.sets};
  if (sets.after && sets.before) {
    const after = unpack(sets.after), before = unpack(sets.before);
    sets.change = {shape: sets.after.shape, below: sets.after.below, steps: 1, values: after.map((v, i) => v - before[i])};
  }
  return sets;
}

function kernels(run) {
  if (!run.layers.length) return missing(run.samples.missing);
  return run.layers.map((layer) => kernelsOf(run, layer));
}

function kernelsOf(run, layer) {
  const sets = kernelSets(layer), there = Object.keys(ways).filter((key) => sets[key]);
  const title = h("h3", {}, `${layer.label}: ${counted(layer.kernels.n, layer.dense ? "unit" : "filter")} (${layer.rule})`);
  const apart = layer.kernels.not_led_back && h("p", {class: "dim"}, `What they see of the input is not drawn: ${layer.kernels.not_led_back}.`);
  if (!there.length) return [title, h("p", {}, "Its weights are no pictures, or too many for this page."), apart];
  const activity = unpack(layer.activity), state = {set: there[0], sort: "number"};
  const length = (filter) => Math.hypot(...unpack(sets[state.set]).subarray(...range(sets[state.set], filter)));
  const change = (filter) => sets.change ? Math.hypot(...sets.change.values.subarray(...range(sets.change, filter))) : 0;
  const orders = {number: (k) => k, activity: (k) => -(activity[k] ?? 0), threshold: (k) => layer.thresholds[k] ?? 0, length: (k) => -length(k),
    ...(sets.change ? {change: (k) => -change(k)} : {})};
  const box = h("div");
  const draw = () => {
    const block = sets[state.set], [n, channels, rows, columns] = block.shape, names = channelNames(layer, state.set, channels);
    const shown = Array.from({length: n}, (_, k) => k), tiles = shown.map((k) => oneChannel(block, k));
    const key = shown.map(orders[state.sort]);
    shown.sort((a, b) => key[a] - key[b] || a - b);
    const [low, high, stops] = limits(tiles);
    const reading = block.below > 1 ? `${block.below} channels, below each other` : channels === 1 ? "one channel" : channels === 2 ? `${names[0]} − ${names[1]}` : `mean of ${channels} channels`;
    const unit = state.set === "fields" ? "of the largest" : layer.kernels.unit;
    return [h("div", {class: "row dim"}, reading, scaleBar(low, high, unit, stops), n < layer.kernels.n ? `the first ${n} of ${whole(layer.kernels.n)}` : ""),
      h("div", {class: "cards"}, shown.map((k) => h("button", {type: "button", class: "card", onclick: () => kernel(layer, sets, k, activity)},
        tile(tiles[k], rows, columns, low, high, stops, `kernel ${k}`, 56 / Math.max(rows, columns)), h("span", {class: "dim"},
          state.sort === "number" ? k : `${k}: ${short(Math.abs(key[k]))}`))))];
  };
  drawn(box, draw);
  return [title, h("div", {class: "row"}, select("Show", there.map((key) => [key, ways[key]]), (value) => { state.set = value; box.redraw(); }, state.set),
    select("Sort by", Object.keys(orders).map((key) => [key, key === "activity" ? "spikes an image" : key]), (value) => { state.sort = value; box.redraw(); })), apart, box];
}

function range({shape: [, channels, rows, columns]}, filter) {
  const size = channels * rows * columns;
  return [filter * size, (filter + 1) * size];
}

function limits(tiles) {
  let low = 0, high = 0;
  for (const one of tiles) for (const v of one) { low = Math.min(low, v); high = Math.max(high, v); }
  const top = Math.max(-low, high) || 1;
  return low < 0 ? [-top, top, DIVERGING] : [0, top, VIRIDIS];
}

function tile(numbers, rows, columns, low, high, stops, label, scale) {
  return paint(canvas(columns, rows, label, Math.max(1, scale)), (i) => between(stops, (numbers[i] - low) / ((high - low) || 1)));
}

function channelNames(layer, set, channels) {
  const names = set === "fields" ? layer.kernels.input_channels : layer.kernels.channels;
  return names && names.length === channels ? names : Array.from({length: channels}, (_, c) => channels > 1 ? `channel ${c}` : "weights");
}

function kernel(layer, sets, k, activity) {
  const kinds = Object.keys(ways).filter((key) => sets[key] && k < sets[key].shape[0]);
  const facts = [["spikes an image", activity[k]], ["threshold (mV)", layer.thresholds[k]]].filter(([, value]) => value !== undefined);
  open(`${layer.label}, ${layer.dense ? "unit" : "filter"} ${k}`, h("p", {}, facts.map(([key, value]) => `${key} ${short(value)}`).join(", ")),
    kinds.map((key) => {
      const [, channels, rows, columns] = sets[key].shape, all = Array.from({length: Math.min(LARGEST, channels)}, (_, c) => values(sets[key], k, c));
      const [low, high, stops] = limits(all), titles = channelNames(layer, key, channels);
      return [h("h3", {}, ways[key]), scaleBar(low, high, key === "fields" ? "of the largest" : layer.kernels.unit, stops), h("div", {class: "panels"},
        all.map((one, c) => figure(titles[c], tile(one, rows, columns, low, high, stops, `${ways[key]}, channel ${c}`,
          (channels > 4 ? 90 : 150) / Math.max(rows, columns))))), channels > LARGEST ? h("p", {class: "dim"}, `The first ${LARGEST} of ${channels} channels.`) : null];
    }));
}

// ---------------------------------------------------------------- training

function training(run) {
  if (!run.layers.length) return missing(run.samples.missing);
  const all = run.together;
  return [all ? [h("h3", {}, `All layers together (${all.rule})`), told(all), all.curves.length ? null : h("p", {class: "dim"},
    "This rule leaves no course of its training.")] : null, run.layers.map((layer) => [h("h3", {}, `${layer.label} (${layer.rule})`),
    layer.course ? course(layer) : null, told(layer), all || layer.course || layer.curves.length ? null : h("p", {class: "dim"},
      "This rule leaves no course of its training.")])];
}

function told({curves, numbers, texts}) {
  return [h("div", {class: "panels"}, curves.map(([title, list]) => figure(title, drawn(h("div"), () => chart({width: room(420), xs: list.map((_, i) => i + 1),
    lines: [{values: list, colour: css("blue"), thick: 2}], xLabel: "pass", yLabel: title,
    label: `${title}: from ${short(list[0])} to ${short(list[list.length - 1])}`}))))),
  numbers.length ? h("div", {class: "scroll", tabindex: 0}, h("table", {}, h("caption", {}, "What the training tells of itself"), numbers.map(([key, value]) =>
    h("tr", {}, h("th", {scope: "row"}, key), h("td", {}, short(value)))))) : null, texts.map((line) => h("p", {}, line))];
}

function course(layer) {
  const {wins, median, mean_weight: weight} = layer.course, thresholds = unpack(layer.course.thresholds), n = layer.course.thresholds.shape[1];
  const xs = wins.map((_, i) => i + 1), shares = wins.map((row) => row.map((k) => 100 * k / Math.max(1, row.reduce((a, b) => a + b, 0))));
  const upTo = (k) => shares.map((row) => row.slice(0, k).reduce((a, b) => a + b, 0));
  const last = shares[shares.length - 1];
  return h("div", {class: "panels"},
    figure("Winners of each window", drawn(h("div"), () => chart({xs, width: room(420), low: 0, high: 100, xLabel: "chunk", yLabel: "windows (%)",
      areas: [["grey", 0], ["green", 1], ["orange", 2]].map(([colour, k]) => ({values: upTo(k + 1), base: upTo(k), colour: css(colour)})),
      label: `winners: at the end ${short(last[0])} % of the windows without, ${short(last[1])} % with one, ${short(last[2])} % with several`})),
    drawn(h("div"), () => legend([["no winner", css("grey")], ["one winner", css("green")], ["several winners", css("orange")]]))),
    figure("Thresholds, one thin line a filter; thick: their median", drawn(h("div"), () => chart({xs, width: room(420), xLabel: "chunk", yLabel: "threshold (mV)",
      lines: [...Array.from({length: n}, (_, k) => ({values: xs.map((_, i) => thresholds[i * n + k]), colour: css("blue"), thick: 0.7, faint: 0.45})),
        {values: median, colour: css("text"), thick: 2}], label: `thresholds: median ${short(median[0])} mV to ${short(median[median.length - 1])} mV`}))),
    figure("Mean weight", drawn(h("div"), () => chart({xs, width: room(420), xLabel: "chunk", yLabel: "weight (nA)",
      lines: [{values: weight, colour: css("red"), thick: 2}], label: `mean weight: ${short(weight[0])} nA to ${short(weight[weight.length - 1])} nA`}))));
}

// ---------------------------------------------------------------- board

function board(run) {
  const told = run.board;
  if (!told) return h("p", {}, "Nothing of this run was on a board.");
  return [told.verdicts.map((one) => [h("h3", {}, `${one.of}: `, h("span", {class: {valid: "good", suspect: "warn"}[one.verdict] || "bad"}, one.verdict),
    one.runs ? h("span", {class: "dim"}, ` (${one.made_on}, runs ${one.runs}, cores ${one.cores})`) : null),
  (one.findings || []).length ? h("ul", {}, one.findings.map((found) => h("li", {}, h("strong", {}, `${found.severity}: `), found.cause,
    found.where.length ? `, at ${found.where.join(", ")}${found.places > found.where.length ? ` and ${found.places - found.where.length} more` : ""}` : "",
    found.steps ? `, first in steps ${found.steps[0]} to ${found.steps[1]}` : "", found.fix ? `. ${found.fix}` : ""))) : null]),
  h("h3", {}, "Chips"), told.places.length ? chipMap(told.places) : missing([{what: "how each core did is not stored with these results",
    command: told.again}]),
  measuredLoad(told.places),
  told.loads.length ? [h("h3", {}, "Load"), h("div", {class: "scroll", tabindex: 0}, h("table", {}, h("caption", {}, "Share of a step that the busiest core needs, an estimate from the images above"),
    h("tr", {}, ["population", "neurons a core", "on average", "in the busiest step", ""].map((title) => h("th", {scope: "col"}, title))), told.loads.map((load) => h("tr", {},
      h("th", {scope: "row"}, load.population), h("td", {}, whole(load.neurons)), h("td", {}, percent(load.mean)), h("td", {class: load.worst > 1 ? "bad" : null},
        percent(load.worst)), h("td", {}, meter(Math.min(1, load.worst))))))), h("p", {class: "dim"}, "More of it says:"), h("pre", {tabindex: 0}, told.command)] : null];
}

// Of a board in time: which cores had most to do, when, and to which packets came late.
function measuredLoad(places) {
  const of = places.findLast(({chips}) => chips.some((chip) => chip.cores.some((core) => core.load)));
  if (!of) return null;
  const late = (core) => core.counts.late || 0, lost = (core) => core.counts.lost || 0;
  const cores = of.chips.flatMap((chip) => chip.cores.map((core) => ({...core, at: `${chip.x},${chip.y},${core.p}`}))).filter((core) => core.load);
  const names = [...new Set(cores.map((core) => core.population))], colours = ["blue", "red", "green", "orange", "purple", "text"];
  const lines = names.map((name, k) => {
    const courses = cores.filter((core) => core.population === name).map((core) => core.load.course);
    return {values: Array.from({length: Math.min(...courses.map((one) => one.length))}, (_, i) => Math.max(...courses.map((one) => one[i]))), colour: css(colours[k % colours.length])};
  });
  const n = Math.min(...lines.map((line) => line.values.length)), {every} = cores[0].load, worst = cores.reduce((a, b) => (b.load.worst > a.load.worst ? b : a));
  const shown = [...cores].sort((a, b) => lost(b) + late(b) - lost(a) - late(a) || b.load.worst - a.load.worst).slice(0, 12);
  return [h("h3", {}, "Load, as the board in time measured it"),
    h("p", {}, `Of ${whole(cores.length)} cores in the ${of.of}, core ${worst.at} (${worst.population}) had most to do: ${percent(worst.load.worst)} of its busiest step. ${
      whole(cores.reduce((sum, core) => sum + late(core), 0))} packets came late, ${whole(cores.reduce((sum, core) => sum + lost(core), 0))} were lost.`),
    figure(`Busiest core of each population, step by step${every > 1 ? ` (the largest of each ${every} steps)` : ""}`, drawn(h("div"), () => chart({xs: Array.from({length: n}, (_, i) => i * every),
      width: room(640), low: 0, xLabel: "step", yLabel: "share of a step (%)", lines: lines.map((line) => ({...line, values: line.values.slice(0, n)})),
      label: names.map((name, k) => `${name}: at most ${Math.max(...lines[k].values)} % of a step`).join("; ")})), legend(names.map((name, k) => [name, lines[k].colour]))),
    h("div", {class: "scroll", tabindex: 0}, h("table", {}, h("caption", {}, `${shown.length < cores.length ? `${shown.length} of ` : ""}${whole(cores.length)} cores; those to which packets came late or were lost first, then the busiest`),
      h("tr", {}, ["core", "population", "neurons", "on average", "in the busiest step", "", "steps without a rest", "late packets", "lost packets"].map((title) => h("th", {scope: "col"}, title))),
      shown.map((core) => h("tr", {}, h("th", {scope: "row"}, core.at), h("td", {}, core.population), h("td", {}, `${core.first} to ${core.last}`), h("td", {}, percent(core.load.mean)),
        h("td", {class: core.load.full ? "bad" : null}, percent(core.load.worst)), h("td", {}, meter(Math.min(1, core.load.worst))), h("td", {}, whole(core.load.full)),
        h("td", {}, whole(late(core))), h("td", {}, whole(lost(core)))))))];
}

function chipMap(places) {
  const state = {of: places.length - 1, item: null}, box = h("div"), detail = h("p", {"aria-live": "polite"}, "Press a core for its counters.");
  const named = (counts) => Object.entries(counts).map(([key, n]) => `${key} ${whole(n)}`).join(", ") || "all counters 0";
  drawn(box, () => {
    const {chips} = places[state.of], cores = chips.flatMap((chip) => chip.cores);
    const items = [...new Set(["population", ...cores.flatMap((core) => Object.keys(core.counts))])];
    if (!items.includes(state.item)) state.item = ["lost", "late", "steps overrun"].find((item) => items.includes(item)) || items[0];    // what is wrong first
    const names = [...new Set(cores.map((core) => core.population))], most = Math.max(1, ...cores.map((core) => core.counts[state.item] || 0));
    const colour = (core) => between(VIRIDIS, state.item === "population" ? names.indexOf(core.population) / Math.max(1, names.length - 1)
      : (core.counts[state.item] || 0) / most);
    const button = (chip, core) => {
      const told = `core ${chip.x},${chip.y},${core.p}: ${core.population}, neurons ${core.first} to ${core.last}; ${named(core.counts)}`;
      const node = h("button", {type: "button", "aria-label": told, title: told, onclick: () => { detail.textContent = told; }}, core.p);
      node.style.background = text(colour(core));
      node.style.color = inkOn(colour(core));
      return node;
    };
    const swatches = names.map((title, k) => [title, text(between(VIRIDIS, k / Math.max(1, names.length - 1)))]);
    return [h("div", {class: "row"}, places.length > 1 ? select("Run", places.map(({of}, k) => [k, of]), (value) => { state.of = Number(value); box.redraw(); }, state.of) : null,
      select("Colour", items.map((item) => [item, item]), (value) => { state.item = value; box.redraw(); }, state.item),
      state.item === "population" ? legend(swatches) : scaleBar(0, most, state.item, VIRIDIS)),
    h("div", {class: "chips"}, chips.map((chip) => h("div", {class: "chip"}, h("h4", {}, `chip ${chip.x},${chip.y}`), h("div", {class: "cores"},
      chip.cores.map((core) => button(chip, core))), h("p", {class: chip.router.dropped ? "bad" : "dim"}, `router: ${named(chip.router)}`))))];
  });
  return [box, detail];
}

// ---------------------------------------------------------------- two runs

function differences() {
  const {settings, accuracy, paired, command} = DATA.beside, names = DATA.runs.map((run, r) => `${"AB"[r]}: ${run.about.name}`);
  const gain = accuracy.every((one) => one !== null) ? 100 * (accuracy[1] - accuracy[0]) : null;
  return [h("div", {class: "panels"}, names.map((title, r) => h("p", {}, title, h("br"), h("span", {class: "big"}, percent(accuracy[r])))),
    gain === null ? null : h("p", {}, "B minus A", h("br"), h("span", {class: "big"}, `${gain >= 0 ? "+" : "−"}${Math.abs(gain).toFixed(2)}`), " points")),
  paired ? h("div", {class: "scroll", tabindex: 0}, h("table", {}, h("caption", {}, `The same images${paired.same_spikes ? ", the same input spikes" : ", other input spikes"}`),
    [["both right", paired.both], ["A alone right", paired.a], ["B alone right", paired.b], ["both wrong", paired.none]].map(([what, n]) =>
      h("tr", {}, h("th", {scope: "row"}, what), h("td", {}, whole(n)))))) : h("p", {}, "They were not tested with the same images, or an answer to each is no longer stored."),
  h("h3", {}, "Settings that differ"), settings.length ? h("div", {class: "scroll", tabindex: 0}, h("table", {class: "words"}, h("tr", {}, ["", "A", "B"].map((title) =>
    h("th", {scope: "col"}, title))), settings.map((row) => h("tr", {}, h("th", {scope: "row"}, row[0]), row.slice(1).map((cell) => h("td", {}, cell || "–")))))) : h("p", {}, "None."),
  h("p", {class: "dim"}, "Where stored results part first says:"), h("pre", {tabindex: 0}, command)];
}

// ---------------------------------------------------------------- the page

const SECTIONS = [["run", "Run", about], ["result", "Result", result], ["images", "Images", gallery], ["steps", "Step by step", viewer],
  ["model", "Model", model], ["kernels", "Kernels", kernels], ["training", "Training", training],
  ...(DATA.runs.some((run) => run.board) ? [["board", "Board", board]] : [])];
const main = document.getElementById("main");
main.replaceChildren();
if (TWO) main.append(h("section", {id: "beside"}, h("h2", {}, "Side by side"), differences()));
for (const [id, title, make] of SECTIONS) {
  const parts = DATA.runs.map((run, r) => h("div", {class: "run", id: `${id}-${r}`}, TWO ? h("h3", {}, `${"AB"[r]}: ${run.about.name}`) : null));
  main.append(h("section", {id}, h("h2", {}, title), h("div", {class: TWO ? "two" : null}, parts)));
  DATA.runs.forEach((run, r) => add(parts[r], [make(run, r)]));
}
document.getElementById("nav").append(h("ul", {}, [...(TWO ? [["beside", "Side by side"]] : []), ...SECTIONS].map(([id, title]) =>
  h("li", {}, h("a", {href: `#${id}`}, title)))));
let width = document.documentElement.clientWidth;
window.addEventListener("resize", () => {
  if (document.documentElement.clientWidth !== width) {
    width = document.documentElement.clientWidth;
    redrawAll();
  }
});
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawAll);
document.documentElement.dataset.ready = "yes";
})();
