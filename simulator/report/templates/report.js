"use strict";
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const darkScheme = matchMedia("(prefers-color-scheme: dark)");
  const canHover = matchMedia("(hover: hover)").matches;
  const PAPER = { wide: 690, narrow: 325, tallest: 132, points: 165 }; // CSS pixels of a chart on A4, beside its padding
  let printing = false;

  const theme = () => (darkScheme.matches && !printing ? "dark" : "light");
  const ink = () =>
    theme() === "dark"
      ? { text: "#c9d2db", grid: "#2a343f", ground: "#171e26", low: "#1b2530", high: "#7cc4f5", point: "#4fa8e0" }
      : { text: "#3c4752", grid: "#e3e5e3", ground: "#ffffff", low: "#f1f4f6", high: "#0b4f8a", point: "#0072b2" };

  // ---- figures -> plotly traces ----

  const MOST_BARS = 1000; // beyond, a chart shows the largest ones and says so
  const LONGEST_NAME = 26;
  const short = (name, longest) => (name.length > longest ? name.slice(0, longest / 2) + "…" + name.slice(1 - longest / 2) : name);

  /** Names along an axis: cut in their middle, and only so many that they do not meet. */
  function ticks(names, room) {
    const step = Math.max(1, Math.ceil((names.length * (printing ? 8 : 12)) / room));
    const shown = names.filter((_, i) => i % step === 0);
    return { tickmode: "array", tickvals: shown, ticktext: shown.map((name) => short(name, LONGEST_NAME).replaceAll("<", "&lt;")) };
  }

  function order(figure, how) {
    const total = (i) => figure.series.reduce((sum, series) => sum + series.values[i], 0);
    let places = figure.categories.map((_, i) => i);
    if (places.length > MOST_BARS) {
      const totals = places.map(total);
      places = places.sort((a, b) => totals[b] - totals[a] || a - b).slice(0, MOST_BARS).sort((a, b) => a - b);
    }
    if (how === "largest") places.sort((a, b) => total(b) - total(a) || a - b);
    if (how === "name") places.sort((a, b) => figure.categories[a].localeCompare(figure.categories[b], "en", { numeric: true }));
    return places;
  }

  function bars(figure, state, width) {
    const places = order(figure, state.order);
    const names = places.map((i) => figure.categories[i]);
    const single = figure.series.length > 1 && figure.series.every((series, i) => series.name === figure.categories[i]);
    const traces = figure.series.map((series, position) => {
      const values = places.map((i) => series.values[i]);
      const along = figure.upright ? { x: names, y: values } : { y: names, x: values, orientation: "h" };
      return {
        type: "bar",
        name: series.name,
        ...along,
        visible: !state.hidden.has(position),
        marker: { color: series.colour[theme()], line: { width: figure.upright ? 0 : 1, color: ink().ground } },
        hovertemplate: single ? "%{label}: %{value:.4~g}<extra></extra>" : "%{label}<br>" + series.name + ": %{value:.4~g}<extra></extra>",
        text: single ? values.map((value) => (value ? Number(value.toPrecision(4)).toLocaleString("en") : "")) : undefined,
        textposition: single ? "outside" : undefined,
        cliponaxis: false,
      };
    });
    const valueAxis = { title: { text: figure.axis }, rangemode: "tozero", automargin: true, gridcolor: ink().grid, zerolinecolor: ink().grid, fixedrange: true };
    const nameAxis = { type: "category", automargin: true, fixedrange: true, ticks: "outside", ticklen: 6, tickcolor: "rgba(0,0,0,0)" };
    const longest = Math.max(...names.map((_, i) => figure.series.reduce((sum, series) => sum + series.values[places[i]], 0)));
    const room = single && longest ? { range: [0, longest * 1.25], autorange: false } : {};
    const tall = figure.upright ? 360 : Math.max(200, 70 + 30 * names.length);
    return {
      traces,
      layout: figure.upright
        ? { xaxis: { ...nameAxis, ...ticks(names, width - 70), tickangle: names.length > 8 || names.some((name) => name.length * names.length * 6 > width - 70) ? -60 : 0, tickfont: { size: printing ? 7 : 10 } }, yaxis: valueAxis, bargap: 0.15, height: tall }
        : { yaxis: { ...nameAxis, ...ticks(names, 1e9), autorange: "reversed" }, xaxis: { ...valueAxis, ...room, nticks: 6 }, bargap: 0.3, height: tall },
    };
  }

  const errors = (points, axis) => {
    const ends = points.map((point) => point[axis + "_ends"] ?? [point[axis], point[axis]]);
    return {
      visible: points.some((point) => point[axis + "_ends"]), type: "data", symmetric: false, thickness: 1, width: 3, color: ink().point,
      array: points.map((point, i) => ends[i][1] - point[axis]), arrayminus: points.map((point, i) => point[axis] - ends[i][0]),
    };
  };

  // ---- labels that hit neither each other nor a point ----

  const LABEL = { size: 11, most: 24, longest: 28 };
  function place(boxes, box, room) {
    const inside = box.left >= 0 && box.top >= 0 && box.right <= room.width && box.bottom <= room.height;
    const free = boxes.every((other) => box.right < other.left || box.left > other.right || box.bottom < other.top || box.top > other.bottom);
    if (inside && free) boxes.push(box);
    return inside && free;
  }

  /** Where names stand in a drawn chart: only those of points with room beside them; hover shows the others. */
  function labels(plot, figure, size) {
    const { xaxis, yaxis } = plot._fullLayout;
    const at = figure.points.map((point) => ({ x: xaxis.c2p(point.x), y: yaxis.c2p(point.y) }));
    const boxes = at.map(({ x, y }) => ({ left: x - 6, right: x + 6, top: y - 6, bottom: y + 6 }));
    const room = { width: xaxis._length, height: yaxis._length };
    const pen = document.createElement("canvas").getContext("2d");
    pen.font = size + "px " + plot._fullLayout.font.family;
    const notes = [], named = [];
    for (const i of figure.named.slice(0, LABEL.most)) {
      const text = short(figure.points[i].name, LABEL.longest);
      const wide = pen.measureText(text).width + 6, high = size + 4;
      const { x, y } = at[i];
      if (named.some((other) => Math.hypot(other.x - x, other.y - y) < 6)) continue; // two names would stand at one point
      const tries = [[0, -1], [0, 1], [1, 0], [-1, 0], [1, -1], [-1, -1], [1, 1], [-1, 1]];
      for (const [right, down] of tries) {
        const left = x + right * (wide / 2 + (down ? 2 : 9)) - wide / 2, top = y + down * (high / 2 + 8) - high / 2;
        if (!place(boxes, { left, right: left + wide, top, bottom: top + high }, room)) continue;
        notes.push({
          x: figure.logarithmic ? Math.log10(figure.points[i].x) : figure.points[i].x, y: figure.logarithmic ? Math.log10(figure.points[i].y) : figure.points[i].y,
          xshift: left + wide / 2 - x, yshift: y - top - high / 2, text: text.replaceAll("&", "&amp;").replaceAll("<", "&lt;"), showarrow: false, font: { size }, captureevents: false,
          bgcolor: ink().ground, opacity: 0.9, borderpad: 0,
        });
        named.push(at[i]);
        break;
      }
    }
    return notes;
  }

  function scatter(figure) {
    const split = (filled) => figure.points.filter((point) => point.filled === filled);
    const trace = (points, name, symbol) => ({
      type: "scatter",
      mode: "markers",
      name,
      x: points.map((point) => point.x),
      y: points.map((point) => point.y),
      error_x: errors(points, "x"),
      error_y: errors(points, "y"),
      text: points.map((point) => point.name),
      cliponaxis: false,
      marker: { size: printing ? 6 : 9, symbol, color: ink().point, line: { width: 1.5, color: ink().point } },
      hovertemplate: "%{text}<br>%{x:.4~g} " + figure.x_axis + "<br>%{y:.4~g} " + figure.y_axis + "<extra></extra>",
    });
    const line = {
      type: "scatter", mode: "lines", name: figure.line_name, hoverinfo: "skip",
      x: figure.line.map((corner) => corner[0]), y: figure.line.map((corner) => corner[1]),
      line: { color: ink().text, width: 1.5 },
    };
    const axis = (title, values) => ({
      title: { text: title }, type: figure.logarithmic ? "log" : "linear", automargin: true, gridcolor: ink().grid, zeroline: false,
      ...(figure.logarithmic ? { dtick: Math.max(...values) / Math.min(...values) < 1e4 ? "D2" : 1, exponentformat: "power" } : { nticks: 6 }),
    });
    const groups = [trace(split(true), figure.filled_name, "circle"), trace(split(false), figure.open_name, "circle-open")];
    return {
      traces: [...(figure.line.length ? [line] : []), ...groups.filter((group) => group.x.length)],
      layout: {
        xaxis: axis(figure.x_axis, figure.points.map((point) => point.x)), yaxis: axis(figure.y_axis, figure.points.map((point) => point.y)), height: 380,
        showlegend: true, legend: { orientation: "h", x: 0, y: 1, yanchor: "bottom", itemwidth: 30, font: { size: printing ? 8 : 11 } },
        dragmode: canHover ? "zoom" : false,
      },
    };
  }

  function heat(figure, state, width) {
    const highest = Math.max(...figure.values.flat());
    return {
      traces: [{
        type: "heatmap", z: figure.values.map((row) => row.map((share) => 100 * share)), zmin: 0, zmax: 100 * highest || 1,
        colorscale: [[0, ink().low], [1, ink().high]], xgap: 1, ygap: 1,
        colorbar: { ticksuffix: " %", thickness: 12, outlinewidth: 0, len: 1 },
        hovertemplate: figure.y_axis + " %{y}, column %{x}: %{z:.1f} %<extra></extra>",
      }],
      layout: {
        xaxis: { title: { text: figure.x_axis }, constrain: "domain", showgrid: false, zeroline: false, fixedrange: true },
        yaxis: { title: { text: figure.y_axis }, autorange: "reversed", scaleanchor: "x", constrain: "domain", showgrid: false, zeroline: false, fixedrange: true },
        height: Math.min(380, Math.max(240, width - 60)),
      },
    };
  }

  const drawers = { bars, scatter, heat };
  const states = new Map();

  function draw(element) {
    const whole = figures[element.dataset.chart];
    const state = states.get(element) ?? { order: "executed", hidden: new Set(), unfolded: false };
    const figure = state.unfolded ? whole : whole.gathered ?? whole;
    states.set(element, state);
    const plot = element.querySelector(".plot");
    const paper = element.classList.contains("wide") ? PAPER.wide : PAPER.narrow;
    const { traces, layout } = drawers[figure.kind](figure, state, printing ? paper : plot.clientWidth);
    const omitted = figure.kind === "bars" ? figure.categories.length - MOST_BARS : 0;
    if (omitted > 0) {
      const said = element.querySelector("[data-left-out]");
      said.hidden = false;
      said.textContent = "The " + MOST_BARS.toLocaleString("en") + " largest of " + figure.categories.length.toLocaleString("en") + " are drawn.";
    }
    if (printing) layout.height = Math.min(layout.height, figure.kind === "scatter" ? PAPER.points : PAPER.tallest);
    const common = {
      barmode: figure.beside ? "group" : "stack", showlegend: false, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      margin: { l: 48, r: 24, t: 16, b: 40 }, dragmode: false, autosize: !printing, ...(printing ? { width: paper } : {}),
      font: { family: getComputedStyle(document.body).fontFamily, size: printing ? 9 : 12, color: ink().text },
      hoverlabel: { bgcolor: ink().ground, bordercolor: ink().grid, font: { color: ink().text } },
    };
    const tools = figure.kind === "scatter" && canHover;
    const options = {
      responsive: true, displaylogo: false, displayModeBar: tools ? "hover" : false,
      modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d", "toImage"], doubleClick: "reset",
    };
    const drawn = Plotly.react(plot, traces, { ...common, ...layout }, options);
    if (figure.kind !== "scatter") return drawn;
    return Plotly.relayout(plot, { annotations: labels(plot, figure, printing ? 8 : LABEL.size) });
  }

  const charts = (where) => [...where.querySelectorAll("[data-chart]")];
  const drawShown = () => charts(document).filter((chart) => chart.offsetParent !== null || (printing && !chart.closest(".not-paper"))).forEach(draw);

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-series]");
    if (!button) return;
    const chart = button.closest("[data-chart]");
    const { hidden } = states.get(chart);
    const position = Number(button.dataset.series);
    const shown = hidden.has(position);
    shown ? hidden.delete(position) : hidden.add(position);
    button.setAttribute("aria-pressed", String(shown));
    draw(chart);
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-unfold]");
    if (!button) return;
    const chart = button.closest("[data-chart]");
    const state = states.get(chart);
    state.unfolded = !state.unfolded;
    state.hidden = new Set();
    button.setAttribute("aria-expanded", String(state.unfolded));
    button.textContent = state.unfolded ? "Gather by place" : "Unfold to components";
    for (const legend of chart.querySelectorAll("[data-level]")) {
      legend.hidden = (legend.dataset.level === "parts") !== state.unfolded;
      for (const part of legend.querySelectorAll("[data-series]")) part.setAttribute("aria-pressed", "true");
    }
    const whole = figures[chart.dataset.chart];
    chart.querySelector("h3").textContent = (state.unfolded ? whole : whole.gathered).title;
    draw(chart);
  });
  document.addEventListener("change", (event) => {
    if (!event.target.matches("[data-order]")) return;
    const chart = event.target.closest("[data-chart]");
    states.get(chart).order = event.target.value;
    draw(chart);
  });

  // ---- the array at work ----

  const recordings = JSON.parse(document.getElementById("frames").textContent);
  for (const player of document.querySelectorAll("[data-player]")) {
    const changes = recordings[player.dataset.player];
    const places = new Map([...player.closest("figure").querySelectorAll("[data-key]")].map((place) => [place.dataset.key, place]));
    const slider = player.querySelector("input"), play = player.querySelector("[data-play]");
    const cursor = places.get("cursor"), wide = Number(cursor.getAttribute("width")) + 1;
    let timer = 0;
    const show = (cycle) => {
      const state = Object.assign({}, ...changes.slice(0, cycle + 1));
      for (const [key, value] of Object.entries(state)) {
        if (key.startsWith("pe-")) places.get(key).classList.toggle("busy", value === "busy");
        else places.get(key).textContent = value;
      }
      cursor.setAttribute("x", 6 + wide * cycle);
      slider.value = cycle;
    };
    const stop = () => {
      clearInterval(timer);
      timer = 0;
      play.textContent = "Play";
      play.setAttribute("aria-pressed", "false");
    };
    play.addEventListener("click", () => {
      if (timer) return stop();
      play.textContent = "Pause";
      play.setAttribute("aria-pressed", "true");
      show(0);
      timer = setInterval(() => (Number(slider.value) + 1 < changes.length ? show(Number(slider.value) + 1) : stop()), 700);
    });
    slider.addEventListener("input", () => { stop(); show(Number(slider.value)); });
    slider.value = Math.round((Number(cursor.getAttribute("x")) - 6) / wide);
  }

  // ---- tabs ----

  const tabs = [...document.querySelectorAll("[role=tab]")];
  function choose(tab, focus) {
    for (const other of tabs) {
      const chosen = other === tab;
      other.setAttribute("aria-selected", String(chosen));
      other.tabIndex = chosen ? 0 : -1;
      document.getElementById(other.getAttribute("aria-controls")).hidden = !chosen;
    }
    if (focus) tab.focus();
    drawShown();
  }
  tabs.forEach((tab, place) => {
    tab.addEventListener("click", () => choose(tab, false));
    tab.addEventListener("keydown", (event) => {
      const target = { ArrowRight: place + 1, ArrowLeft: place - 1, Home: 0, End: tabs.length - 1 }[event.key];
      if (target === undefined) return;
      event.preventDefault();
      choose(tabs[(target + tabs.length) % tabs.length], true);
    });
  });

  // ---- sortable tables ----

  function sortBy(table, column, ascending) {
    const key = (row) => {
      const cell = row.children[column];
      const value = cell.dataset.value;
      if (value === undefined) return cell.classList.contains("number") ? null : cell.textContent.trim();
      return /^-?\d+$/.test(value) ? BigInt(value) : Number(value); // a Number would lose digits of large counts
    };
    const compare = (a, b) =>
      typeof a !== "string" && typeof b !== "string" ? (a < b ? -1 : a > b ? 1 : 0) : String(a).localeCompare(String(b), "en", { numeric: true });
    const known = (a, b) => (a === null) - (b === null); // what has no number stands last either way
    const rows = [...table.tBodies[0].rows].sort((a, b) => known(key(a), key(b)) || (key(a) === null ? 0 : (ascending ? 1 : -1) * compare(key(a), key(b))));
    table.tBodies[0].append(...rows);
    [...table.tHead.rows[0].cells].forEach((cell, place) => {
      if (place === column) cell.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      else cell.removeAttribute("aria-sort");
    });
  }
  for (const table of document.querySelectorAll("table.sortable")) {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      if (!head.textContent.trim()) return;
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      const numeric = head.classList.contains("number");
      button.addEventListener("click", () => {
        const before = head.getAttribute("aria-sort");
        sortBy(table, column, before ? before === "descending" : !numeric);
      });
    });
  }

  // ---- light, dark, paper ----

  darkScheme.addEventListener("change", drawShown);
  addEventListener("beforeprint", () => { printing = true; drawShown(); });
  addEventListener("afterprint", () => { printing = false; drawShown(); });

  if (tabs.length) choose(tabs[0], false);
  else drawShown();
  document.documentElement.dataset.ready = "true";
})();
