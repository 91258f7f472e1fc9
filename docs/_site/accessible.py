"""What Sphinx and its theme write that a screen reader or a keyboard cannot follow, mended page by page.

axe-core found them (``make browser``): captions that are headings of no level, and long signatures that are lists of
definitions without a term. What scrolls sideways is made reachable by ``scroll.js``.
"""

import re

CAPTION = 'role="heading"'
SIGNATURE = re.compile(r"<dl>\n((?:<dd>.*</dd>\n)+)</dl>")


def mended(text):
    """HTML with captions of a level, and signatures as plain lines."""
    return SIGNATURE.sub(_lines, text.replace(CAPTION, f'{CAPTION} aria-level="2"'))


def _lines(found):
    """The lines of a signature."""
    return f'<div class="sig-lines">{found[1].replace("<dd>", "<div>").replace("</dd>", "</div>")}</div>'


def mend(app, pagename, templatename, context, doctree):
    """Mend the parts of a page, after the theme has made them."""
    for name in {"body", "furo_navigation_tree"} & set(context):
        context[name] = mended(context[name])


def setup(app):
    """Have pages mended."""
    app.connect("html-page-context", mend, priority=900)        # after the theme's
    return {"parallel_read_safe": True, "parallel_write_safe": True}
