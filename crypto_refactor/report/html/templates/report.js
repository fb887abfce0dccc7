"use strict";
(() => {
  const root = document.documentElement;
  const { columns, charts } = JSON.parse(document.getElementById("charts").textContent);
  const finger = matchMedia("(pointer: coarse)").matches;
  const night = matchMedia("(prefers-color-scheme: dark)");

  /* The style sheet says what a named colour is now; the browser resolves it on an element of its own. */
  const probe = document.createElement("span");
  probe.hidden = true;
  document.body.append(probe);
  const color = (name) => {
    probe.style.color = name;
    return getComputedStyle(probe).color;
  };

  /* Puts colours and shared columns in the place of their names. */
  const filled = (value, key) => {
    if (typeof value === "string") {
      if (/^var\(--[a-z]+\)$/.test(value)) return color(value);
      return (key === "x" && value.startsWith("@")) ? columns[value.slice(1)] : value;
    }
    if (Array.isArray(value)) {
      return typeof value[0] === "object" || key === "color" ? value.map((each) => filled(each, key)) : value;
    }
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, filled(each, name)]));
  };

  const config = {
    displaylogo: false,
    responsive: true,
    /* Named one by one: nothing that offers to send the data anywhere. */
    modeBarButtons: [["toImage"], ["zoom2d", "pan2d"], ["zoomIn2d", "zoomOut2d", "resetScale2d"]],
    displayModeBar: finger ? false : "hover",
  };

  const draw = (chart) => {
    const place = document.getElementById(`chart-${chart.name}`);
    const layout = filled(chart.layout);
    /* A finger that moves over a chart scrolls the page; a mouse zooms. */
    layout.dragmode = finger ? false : "zoom";
    for (const axis of chart.switched || []) layout[axis.name].type = axis.type;
    return Plotly.react(place, filled(chart.data), layout, config);
  };

  const drawAll = async () => {
    delete root.dataset.drawn;
    for (const chart of charts) {
      await draw(chart);
      /* A pause between charts, so that the page can be read and scrolled meanwhile. */
      await new Promise((go) => setTimeout(go, 0));
    }
    root.dataset.drawn = String(charts.length);
  };

  const theme = () => root.dataset.theme || (night.matches ? "dark" : "light");
  document.getElementById("theme").addEventListener("click", () => {
    root.dataset.theme = theme() === "dark" ? "light" : "dark";
    drawAll();
  });
  night.addEventListener("change", drawAll);

  for (const button of document.querySelectorAll(".switch button")) {
    button.addEventListener("click", () => {
      const { chart: name, axis, type } = button.dataset;
      for (const each of button.parentElement.children) each.setAttribute("aria-pressed", String(each === button));
      const chart = charts.find((each) => each.name === name);
      chart.switched = [{ name: axis, type }];
      draw(chart);
    });
  }

  const order = (cell) => {
    const said = cell.dataset.order ?? cell.textContent;
    const number = Number(said);
    return said !== "" && Number.isFinite(number) ? number : said;
  };
  const compare = (one, other) => {
    if (typeof one === "number" && typeof other === "number") return one - other;
    return String(one).localeCompare(String(other), "en");
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      head.firstElementChild.addEventListener("click", () => {
        const up = head.getAttribute("aria-sort") !== "ascending";
        for (const each of heads) each.setAttribute("aria-sort", "none");
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const body = table.tBodies[0];
        const rows = [...body.rows];
        rows.sort((one, other) => (up ? 1 : -1) * compare(order(one.cells[column]), order(other.cells[column])));
        body.append(...rows);
      });
    });
  }

  drawAll();
})();
