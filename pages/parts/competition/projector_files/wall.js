// Updates the wall in place: nothing is taken away and drawn again, so nothing flickers.
// Names are data: they only ever become the text of an element.

function child(parent, index, className, parts) {
  let node = parent.children[index];
  if (!node) {
    node = document.createElement("div");
    node.className = className;
    for (const part of parts) {
      const inner = document.createElement("div");
      inner.className = part;
      node.append(inner);
    }
    parent.append(node);
  }
  return node;
}

function write(node, part, text) {
  const inner = node.querySelector("." + part);
  if (inner.textContent !== text) inner.textContent = text;
}

function fill(parent, rows, className, parts) {
  rows.forEach((row, index) => {
    const node = child(parent, index, className, parts);
    write(node, "place", row.place);
    write(node, "name", row.name);
    write(node, "score", row.score);
    const bar = node.querySelector(".bar");
    if (bar) {
      if (!bar.firstChild) bar.append(Object.assign(document.createElement("div"), { className: "fill" }));
      bar.firstChild.style.width = 100 * row.share + "%";
    }
  });
  while (parent.children.length > rows.length) parent.lastChild.remove();
}

function clockText(leftMs) {
  const seconds = Math.max(0, Math.round(leftMs / 1000));
  const two = (number) => String(number).padStart(2, "0");
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  return hours ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

export default function ({ data, parentElement }) {
  const find = (name) => parentElement.querySelector("." + name);
  write(parentElement, "title", data.title);
  write(parentElement, "said", data.said);
  write(parentElement, "news", data.news);
  write(parentElement, "hint", data.hint);
  write(parentElement, "address", data.address);
  find("join").hidden = !data.code;
  const image = data.code ? "data:image/svg+xml;utf8," + encodeURIComponent(data.code) : "";
  if (find("code").getAttribute("src") !== image) find("code").setAttribute("src", image);
  const bar = document.querySelector('[data-testid="stHeader"]');
  if (bar) bar.style.display = "none"; // a wall has no menu; it comes back with the desk
  fill(find("podium"), data.podium, "step", ["place", "name", "score"]);
  fill(find("places"), data.places, "row", ["place", "name", "score", "bar"]);
  const end = data.left_ms === null ? null : performance.now() + data.left_ms;
  const tick = () => {
    const text = end === null ? "" : clockText(end - performance.now());
    if (find("clock").textContent !== text) find("clock").textContent = text;
  };
  tick();
  const timer = setInterval(tick, 250);
  return () => {
    clearInterval(timer);
    if (bar) bar.style.display = "";
  };
}
