"""Directives whose text comes from the package's own tables: the command line, exit codes, errors.

They write Markdown and have it read, so that it looks like every other page.
"""

import re

from sphinx.addnodes import pending_xref, pending_xref_condition
from sphinx.util.docutils import SphinxDirective

from spikingconvnet import PUBLIC, errors
from spikingconvnet.cli.arguments import SHORT
from spikingconvnet.cli.help import EXIT_CODES
from spikingconvnet.cli.table import MODES, NO_MODE, OPTIONS


class Generated(SphinxDirective):
    """A directive that is the Markdown of its method."""

    def run(self):
        """The nodes of its Markdown."""
        return self.parse_text_to_nodes("\n".join(self.lines()), allow_section_headings=True)


class Modes(Generated):
    """Every mode: what it does, what it takes, examples, the options that it reads."""

    def lines(self):
        """Markdown."""
        for mode in MODES.values():
            own = [one for one in OPTIONS if {mode.name, f"{mode.name} FILE"} & set(one.modes)]
            yield from ("", f"(mode-{mode.name})=", f"## `--mode {mode.name}`", "", sentence(mode.help), "", "```",
                        *(" ".join(filter(None, ("spikingconvnet --mode", mode.name, words)))
                          for words in mode.examples), "```", "")
            if mode.paths:
                yield from (f"Paths: `{mode.paths}`.", "")
            if own:
                links = ", ".join(f"[`{one.flag}`](#option-{one.flag.strip('-')})" for one in own)
                yield from (f"Options: {links}.", "")


class Options(Generated):
    """Every option: what it is for, its values, the modes that read it."""

    def lines(self):
        """Markdown."""
        for option in OPTIONS:
            yield from ("", f"(option-{option.flag.strip('-')})=", f"## `{usage(option)}`", "", sentence(option.help))
            yield from (f"- {fact}" for fact in ("", *facts(option)) if fact)


def usage(option):
    """An option as it is written, with the name of its value."""
    short = f"{SHORT[option.flag]}, " if option.flag in SHORT else ""
    choices = "|".join(option.words.get("choices", ()))
    value = option.words.get("metavar") or choices or ("" if option.words.get("action") else "VALUE")
    return f"{short}{option.flag} {value}".rstrip()


def facts(option):
    """What else is to be known of an option, a sentence each."""
    if option.bounds:
        yield "From {:,} to {:,}.".format(*option.bounds)
    if option.needs_board:
        free = [f"`--mode {name}`" for name in option.but_in if " " not in name]
        yield f"Needs `--backend spinnaker`{', but not with ' if free else ''}{', '.join(free)}."
    names = dict.fromkeys(name.partition(" ")[0] for name in option.modes if name)
    modes = ", ".join(f"[{name}](#mode-{name})" for name in names)
    yield "Without a mode." if option.modes == NO_MODE else f"Modes: {modes or 'all'}."


class ExitCodes(Generated):
    """What a command ends with."""

    def lines(self):
        """Markdown."""
        yield from ("| code | modes | meaning |", "|---|---|---|")
        for code, modes, text in EXIT_CODES:
            links = ", ".join(f"[{name}](#mode-{name})" for name in modes if name)
            yield f"| {code} | {links or 'all'} | {text} |"


class Errors(Generated):
    """Every class of errors."""

    def lines(self):
        """Markdown."""
        yield from ("| class | also a | exit code | what went wrong |", "|---|---|---|---|")
        kinds = [one for one in vars(errors).values()
                 if isinstance(one, type) and issubclass(one, errors.SpikingConvNetError)]
        for kind in kinds:
            others = ", ".join(f"`{base.__name__}`" for base in kind.__bases__)
            said = kind.__doc__.splitlines()[0].partition(" (exit code")[0].rstrip(".")
            yield f"| `{kind.__name__}` | {others} | {kind.exit_code} | {said} |"


def sentence(text):
    """A help text as a sentence; what argparse and Markdown would read is escaped."""
    text = text.replace("%%", "%").replace("*", r"\*").replace("[", r"\[").replace("_", r"\_")
    return f"{text[0].upper()}{text[1:]}".rstrip(".") + "."


def public(app, env, node, contnode):
    """A name by its home in the package leads to where the page has it, which is the face or a room."""
    target = node.get("reftarget", "")
    name = target.rpartition(".")[2]
    if node.get("refdomain") == "py" and target.startswith("spikingconvnet.") and name in PUBLIC:
        python, found = env.get_domain("py"), f"{PUBLIC[name]}.{name}"
        return python.resolve_xref(env, node["refdoc"], app.builder, "obj", found, node, contnode)
    return None


def words_only(app, doctree):
    """Words in the types of docstrings, as of `array (n, channels)`, are no names that lead somewhere."""
    for node in list(doctree.findall(pending_xref)):
        if node.get("refdomain") == "py" and node["reftarget"].islower() and "." not in node["reftarget"]:
            shown = [one for one in node.children if not isinstance(one, pending_xref_condition)]
            node.replace_self(shown or node.children[-1].children)


def headed(app, what, name, obj, options, lines):
    """What follows a list of parameters without a heading gets one, or it would be read as more parameters."""
    for place, line in reversed(list(enumerate(lines))):
        before = lines[place - 1] if place else ""
        listed = any(re.fullmatch("-{3,}", above) for above in lines[:place])
        if not listed or before or not line or line[0] == " ":
            continue
        below = lines[place + 1] if place + 1 < len(lines) else ""
        if line.startswith(">>>"):
            lines[place:place] = ["Examples", "--------"]
        elif line.endswith(".") or (below and below[0] not in " -"):
            lines[place:place] = ["Notes", "-----"]


def setup(app):
    """Make the directives known."""
    for name, directive in (("modes", Modes), ("options", Options), ("exit-codes", ExitCodes), ("errors", Errors)):
        app.add_directive(name, directive)
    app.connect("missing-reference", public)
    app.connect("doctree-read", words_only)
    app.connect("autodoc-process-docstring", headed, priority=400)      # before napoleon reads them
    return {"parallel_read_safe": True, "parallel_write_safe": True}
