"use strict";
(() => {
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const root = document.documentElement;
  root.classList.add("js");

  // colours: as the system has them, or as the reader chose
  const themes = ["auto", "dark", "light"];
  const button = document.getElementById("theme");
  const remembered = () => { try { return localStorage.getItem("xencbt-theme"); } catch { return null; } };
  const paint = (theme) => {
    if (theme === "auto") delete root.dataset.theme; else root.dataset.theme = theme;
    button.textContent = `◐ ${theme}`;
    button.setAttribute("aria-label", `colours: ${theme === "auto" ? "as the system" : theme}`);
  };
  let theme = themes.includes(remembered()) ? remembered() : "auto";
  paint(theme);
  button.addEventListener("click", () => {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length];
    paint(theme);
    try { localStorage.setItem("xencbt-theme", theme); } catch { /* a reader that keeps nothing */ }
  });

  // evidence that is packed is unpacked when its test is opened
  const chunks = new Map();
  const unpack = (number) => {
    if (!chunks.has(number)) {
      const text = document.getElementById(`chunk-${number}`).textContent;
      const bytes = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
      const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
      chunks.set(number, new Response(stream).json());
    }
    return chunks.get(number);
  };
  const fill = async (place) => {
    const fragments = await unpack(place.dataset.chunk);
    const template = document.createElement("template");
    template.innerHTML = fragments[Number(place.dataset.at)];
    const parent = place.parentElement;
    place.replaceWith(template.content);
    dress(parent);
  };

  // what a reader wants to run, or to send on, has a button that copies it
  const copied = async (text) => {
    try { await navigator.clipboard.writeText(text); return true; } catch { /* not allowed here: the old way */ }
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  };
  const lines = (place) => all(":scope > ol > li", place).map((line) => line.textContent).join("\n") || place.querySelector("pre").textContent;
  const addCopy = (place) => {
    const copy = document.createElement("button");
    copy.type = "button";
    copy.className = "copy";
    copy.textContent = "Copy";
    copy.addEventListener("click", async () => {
      copy.textContent = (await copied(lines(place).trimEnd() + "\n")) ? "Copied" : "Not copied";
      setTimeout(() => { copy.textContent = "Copy"; }, 2000);
    });
    place.append(copy);
  };

  // the same steps for several clients, as tabs
  let numbered = 0;
  const addTabs = (place) => {
    const panels = all(":scope > .panel", place);
    if (panels.length < 2) return;
    const list = document.createElement("div");
    list.className = "tablist";
    list.setAttribute("role", "tablist");
    list.setAttribute("aria-label", "steps for");
    const choose = (chosen, focus) => panels.forEach((panel, at) => {
      panel.hidden = at !== chosen;
      list.children[at].setAttribute("aria-selected", String(at === chosen));
      list.children[at].tabIndex = at === chosen ? 0 : -1;
      if (at === chosen && focus) list.children[at].focus();
    });
    panels.forEach((panel, at) => {
      panel.id = `panel-${++numbered}`;
      panel.setAttribute("role", "tabpanel");
      const tab = document.createElement("button");
      tab.type = "button";
      tab.id = `tab-${numbered}`;
      tab.textContent = panel.dataset.title;
      tab.setAttribute("role", "tab");
      tab.setAttribute("aria-controls", panel.id);
      panel.setAttribute("aria-labelledby", tab.id);
      tab.addEventListener("click", () => choose(at, false));
      tab.addEventListener("keydown", (event) => {
        const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        if (step) { event.preventDefault(); choose((at + step + panels.length) % panels.length, true); }
      });
      list.append(tab);
    });
    place.prepend(list);
    choose(0, false);
  };

  // colours in what was sent and received: text is only ever put in as text
  const grammars = {
    xml: /(<\/?[\w:.-]+|\/?>|<\?.*?\?>)|([\w:.-]+=(?:"[^"]*"|'[^']*'))|([^<>]+)/gs,
    json: /("(?:[^"\\]|\\.)*"\s*:)|("(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null)|([^"\d]+)/gs,
    python: /(\b(?:import|from|as|with|for|in|if|else|def|return|assert|not|and|or|None|True|False)\b)|("""[^]*?"""|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')|(#.*)/g,
    sh: /(^\s*(?:xe|export|read|xencbt)\b)|("[^"]*"|'[^']*')|(#.*)/gm,
  };
  const classes = { xml: ["k", "d", "s"], json: ["k", "s", ""], python: ["k", "s", "d"], sh: ["k", "s", "d"] };
  const colour = (code) => {
    const [text, language] = [code.textContent, code.dataset.lang];
    delete code.dataset.lang;
    const pieces = document.createDocumentFragment();
    let end = 0;
    for (const match of text.matchAll(grammars[language])) {
      pieces.append(text.slice(end, match.index));
      const span = document.createElement("span");
      span.className = classes[language][match.slice(1).findIndex((group) => group !== undefined)];
      span.textContent = match[0];
      pieces.append(span);
      end = match.index + match[0].length;
    }
    pieces.append(text.slice(end));
    code.replaceChildren(pieces);
  };

  const dress = (place) => {
    all(".tabs:not([data-dressed])", place).forEach((tabs) => { tabs.dataset.dressed = ""; addTabs(tabs); });
    all(".command, .panel", place).forEach((one) => { if (!one.querySelector(":scope > .copy")) addCopy(one); });
    all("code[data-lang]", place).forEach(colour);
  };
  const opened = (details) => {
    const packed = details.querySelector(":scope > .packed");
    if (packed) return fill(packed);
    dress(details);
    return undefined;
  };
  document.addEventListener("toggle", (event) => {
    if (event.target.open && event.target.matches("details.case")) opened(event.target);
  }, true);
  all("details.case[open]").forEach(opened);
  dress(document.getElementById("short"));
  dress(document.getElementById("run"));

  // a link into the page opens what it leads to
  const reveal = () => {
    const aim = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!aim) return;
    for (let at = aim; at; at = at.parentElement) if (at.matches("details")) at.open = true;
    if (aim.matches(".row[hidden], .row[hidden] *")) reset();
    aim.scrollIntoView();
  };
  addEventListener("hashchange", reveal);

  // search and filter
  const rows = all(".row");
  const texts = new Map();
  const text = (row) => {
    if (!texts.has(row)) texts.set(row, row.textContent.toLowerCase());
    return texts.get(row);
  };
  const find = document.getElementById("find");
  const level = document.getElementById("level");
  const chosen = () => document.querySelector("input[name=verdict]:checked").value;
  const fits = (row, words, verdict) =>
    (verdict === "" || (verdict === "*" ? "moved" in row.dataset : row.dataset.verdict === verdict))
    && (level.value === "" || row.dataset.level === level.value)
    && words.every((word) => text(row).includes(word));
  const sift = () => {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    const verdict = chosen();
    rows.forEach((row) => { row.hidden = !fits(row, words, verdict); });
    all(".chapter").forEach((chapter) => { chapter.hidden = !chapter.querySelector(".row:not([hidden])"); });
    const shown = rows.filter((row) => !row.hidden).length;
    document.getElementById("found").textContent = `${shown} of ${rows.length} requirements shown`;
    document.getElementById("none").hidden = shown > 0;
  };
  const reset = () => { document.querySelector(".filters").reset(); sift(); };
  const filters = document.querySelector(".filters");
  filters.addEventListener("input", sift);
  filters.addEventListener("change", sift);
  filters.addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("unfold").addEventListener("click", () => {
    rows.filter((row) => !row.hidden).forEach((row) => { row.open = true; });
  });
  if (rows.length) sift(); else filters.hidden = true;

  // on paper everything that is broken is open, but for what only a machine reads
  let before = [];
  addEventListener("beforeprint", () => {
    before = all("#broken details:not([open], .traceback)");
    before.forEach((one) => { one.open = true; });
  });
  addEventListener("afterprint", () => before.forEach((one) => { one.open = false; }));
  reveal();
})();
