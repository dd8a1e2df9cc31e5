"""Bring a part of the page into view once: Streamlit itself stays where the reader was."""

from __future__ import annotations

import streamlit as st

# `token` names the occasion: a rerun with the same one scrolls no second time. `after`: only in a window that
# scrolled for that one before. The element may come a moment after this, so it is looked for a few times.
_SCROLL_JS = """
export default function ({ data }) {
  if (window.moaScrolledFor === data.token) return;
  if (data.after && window.moaScrolledFor !== data.after) return;
  window.moaScrolledFor = data.token;
  let tries = 0;
  const look = () => {
    const target = document.querySelector(`.st-key-${data.anchor}`);
    if (target) {
      target.style.scrollMarginTop = "4.5rem";  // the bar of pages lies over the top
      target.scrollIntoView({ block: "start", behavior: "smooth" });
    }
    else if (tries++ < 20) setTimeout(look, 100);
  };
  setTimeout(look, 150);
}
"""
_scroller = st.components.v2.component("moa_workshop_scroll", js=_SCROLL_JS)


def scroll_to(anchor: str, occasion: str, after: str = "") -> None:
    """Scroll to the container with the key `anchor`, once per occasion; with `after`, only following that."""
    _scroller(
        key=f"scroll_{anchor}_{occasion}",
        data={
            "anchor": anchor,
            "token": f"{anchor} {occasion}",
            "after": f"{anchor} {after}" if after else "",
        },
        height=0,
    )
