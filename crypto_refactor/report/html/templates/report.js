(async () => {
  const root = document.documentElement;
  if (!("DecompressionStream" in window)) {
    for (const place of document.querySelectorAll(".chart")) place.textContent = "This chart needs a browser of 2023 or later.";
    return;
  }
  const { columns, charts } = JSON.parse(await unpack("charts"));
  const library = document.createElement("script");
  library.textContent = await unpack("plotly");
  document.head.append(library);
  const touch = matchMedia("(pointer: coarse)").matches;
  const darkMode = matchMedia("(prefers-color-scheme: dark)");

  /* The style sheet defines named colours; the browser resolves them on a hidden element. */
  const probe = document.createElement("span");
  probe.hidden = true;
  document.body.append(probe);
  const color = (name) => {
    probe.style.color = name;
    return getComputedStyle(probe).color;
  };

  /* Replaces the names of colours and of shared columns by their values. */
  const resolve = (value, key) => {
    if (typeof value === "string") {
      if (/^var\(--[a-z]+\)$/.test(value)) return color(value);
      return (key === "x" && value.startsWith("@")) ? columns[value.slice(1)] : value;
    }
    if (Array.isArray(value)) {
      return typeof value[0] === "object" || key === "color" ? value.map((item) => resolve(item, key)) : value;
    }
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, resolve(item, name)]));
  };

  const config = {
    displaylogo: false,
    responsive: true,
    /* Listed one by one, so that none of them sends data anywhere. */
    modeBarButtons: [["toImage"], ["zoom2d", "pan2d"], ["zoomIn2d", "zoomOut2d", "resetScale2d"]],
    /* On a narrow page it would cover the legend. */
    displayModeBar: touch || innerWidth < 700 ? false : "hover",
  };

  /* On paper nothing can be zoomed or switched, and a page holds several charts. */
  const PAPER_WIDTH = 700;
  const stripped = (layout) => layout.yaxis2?.type === "category";
  /* Each row of a strip needs room for its name. */
  const paperHeight = (layout) => Math.max(200, (stripped(layout) ? 0.85 : 0.55) * layout.height);
  let printing = false;
  const forPaper = (layout) => {
    layout.width = PAPER_WIDTH;
    layout.height = paperHeight(layout);
    layout.font = { ...layout.font, size: 9 };
    for (const name of Object.keys(layout).filter((key) => /^[xy]axis\d*$/.test(key))) {
      const { title } = layout[name];
      if (title) layout[name] = { ...layout[name], title: { ...title, font: { ...title.font, size: 9 } } };
    }
    if (stripped(layout)) layout.yaxis2 = { ...layout.yaxis2, tickfont: { size: 7 } };
    if (layout.xaxis) layout.xaxis = { ...layout.xaxis, rangeslider: { visible: false }, rangeselector: { visible: false } };
  };
  const reprint = (paper) => {
    printing = paper;
    for (const chart of charts) {
      const height = paper ? paperHeight(chart.layout) : chart.layout.height;
      document.getElementById(`chart-${chart.name}`).style.height = `${height}px`;
      draw(chart);
    }
  };
  addEventListener("beforeprint", () => reprint(true));
  addEventListener("afterprint", () => reprint(false));

  const draw = (chart) => {
    const place = document.getElementById(`chart-${chart.name}`);
    const layout = resolve(chart.layout);
    /* Touch scrolls the page; a mouse zooms. */
    layout.dragmode = touch ? false : "zoom";
    if (printing) forPaper(layout);
    for (const axis of chart.switched || []) layout[axis.name].type = axis.type;
    return Plotly.react(place, resolve(chart.data), layout, config);
  };

  const drawAll = async () => {
    delete root.dataset.drawn;
    for (const chart of charts) {
      await draw(chart);
      /* Yield between charts, so that the page stays responsive. */
      await new Promise((go) => setTimeout(go, 0));
    }
    root.dataset.drawn = String(charts.length);
  };

  const theme = () => root.dataset.theme || (darkMode.matches ? "dark" : "light");
  document.getElementById("theme").addEventListener("click", () => {
    root.dataset.theme = theme() === "dark" ? "light" : "dark";
    drawAll();
  });
  darkMode.addEventListener("change", drawAll);

  for (const button of document.querySelectorAll(".switch button")) {
    button.addEventListener("click", () => {
      const { chart: name, axis, type } = button.dataset;
      for (const other of button.parentElement.children) other.setAttribute("aria-pressed", String(other === button));
      const chart = charts.find((candidate) => candidate.name === name);
      chart.switched = [{ name: axis, type }];
      draw(chart);
    });
  }

  const order = (cell) => {
    const text = cell.dataset.order ?? cell.textContent.trim();
    const number = Number(text.replaceAll(",", "").replace(/\s*[%h]$/, ""));
    return text !== "" && Number.isFinite(number) ? number : text;
  };
  const compare = (left, right) => {
    if (typeof left === "number" && typeof right === "number") return left - right;
    return String(left).localeCompare(String(right), "en");
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      head.firstElementChild.addEventListener("click", () => {
        const up = head.getAttribute("aria-sort") !== "ascending";
        for (const other of heads) other.setAttribute("aria-sort", "none");
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const body = table.tBodies[0];
        const rows = [...body.rows];
        rows.sort((left, right) => (up ? 1 : -1) * compare(order(left.cells[column]), order(right.cells[column])));
        body.append(...rows);
      });
    });
  }

  drawAll();
})();
