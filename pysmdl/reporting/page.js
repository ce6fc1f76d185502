/* The page's one script. It reads the index at once and each explanation when it is wanted; what it shows of them it
   sets as text, never as HTML. */
"use strict";
(() => {
  // ---- Small tools -------------------------------------------------------------------------------------------------

  const byId = (id) => document.getElementById(id);
  const read = (id) => JSON.parse(byId(id).textContent);

  const fill = (element, attributes, children) => {
    for (const [name, value] of Object.entries(attributes)) {
      if (value === true) element.setAttribute(name, "");
      else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  };
  const make = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
  const draw = (tag, attributes = {}, ...children) =>
    fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

  const known = (value) => value !== null && value !== undefined;
  const minus = (text) => text.replace("-", "−");
  const digits = (value, places = 2) => (known(value) ? minus(value.toFixed(places)) : "not measured");
  // A value is small beside a score: as many places as tell it from nothing.
  const precise = (value) => {
    if (!known(value)) return "not measured";
    if (value === 0) return "0";
    const places = Math.min(6, Math.max(2, 1 - Math.floor(Math.log10(Math.abs(value)))));
    return (value > 0 ? "+" : "") + minus(value.toFixed(places));
  };
  const seconds = (value) => (known(value) ? `${value < 100 ? value.toPrecision(2) : value.toFixed(0)} s` : null);
  const share = (value) => {
    const percent = 100 * value;
    return `${percent.toFixed(percent > 0 && percent < 1 ? 1 : 0)} %`;
  };

  const NAMES = {
    insertion_auc: "insertion AUC",
    deletion_auc: "deletion AUC",
    minimal_correction: "minimal correction",
    minimal_sufficient: "minimal sufficient",
    score: "score",
    evaluations: "evaluations",
    seconds: "seconds",
    n: "regions",
  };
  const named = (metric) =>
    NAMES[metric] || metric.replace(/_(\d+)$/, " in $1 % of the area").replaceAll("_", " ");

  const index = read("index");
  const parsed = new Map(); // the explanations seen last
  const entryOf = (number) => {
    const found = parsed.get(number) || read(`e${number}`);
    parsed.delete(number);
    parsed.set(number, found);
    if (parsed.size > 24) parsed.delete(parsed.keys().next().value);
    return found;
  };

  // ---- Regions of a picture ----------------------------------------------------------------------------------------

  const SHOWN = -1; // always shown
  const OUTSIDE = -2; // of what the model sees

  /* The regions of an explanation on a canvas of this many points on its longer side: label and border of each point,
     place of each region. A label is a region; where regions overlap, a part, which several have, the smallest first. */
  const layOut = (entry, side) => {
    const width = Math.round(entry.aspect >= 1 ? side : side * entry.aspect) || 1;
    const height = Math.round(entry.aspect >= 1 ? side / entry.aspect : side) || 1;
    const { width: columns, height: rows, runs } = entry.labels;
    const labels = new Int32Array(rows * columns);
    for (let i = 0, at = 0; i < runs.length; i += 2) labels.fill(runs[i], at, (at += runs[i + 1]));
    const [x0, y0, x1, y1] = entry.frame || [0, 0, 1, 1];
    const nearest = (points, pixels, low, high) =>
      Int32Array.from({ length: pixels }, (_, pixel) => {
        const place = ((pixel + 0.5) / pixels - low) / (high - low);
        return place < 0 || place >= 1 ? OUTSIDE : Math.min(points - 1, Math.floor(place * points));
      });
    const across = nearest(columns, width, x0, x1);
    const down = nearest(rows, height, y0, y1);
    const region = new Int32Array(width * height).fill(OUTSIDE);
    for (let y = 0; y < height; y++) {
      if (down[y] === OUTSIDE) continue;
      for (let x = 0; x < width; x++) {
        if (across[x] !== OUTSIDE) region[y * width + x] = labels[down[y] * columns + across[x]];
      }
    }
    const place = new Int32Array(entry.n).fill(-1);
    entry.order.forEach((each, at) => (place[each] = at));
    const of = entry.parts ? (label) => entry.parts[label] : (label) => [label];
    const count = entry.parts ? entry.parts.length : entry.n;
    return { width, height, region, of, count, place, border: bordersOf(region, width, height), spots: null };
  };

  const bordersOf = (region, width, height) => {
    const found = new Uint8Array(region.length);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const at = y * width + x;
        const right = x + 1 < width && region[at] !== region[at + 1];
        if (right || (y + 1 < height && region[at] !== region[at + width])) found[at] = 1;
      }
    }
    return found;
  };

  /* Where the number of each of the first regions belongs: in a picture the point of it that is nearest to its middle,
     on a sheet its upper left corner, or the middle of its left edge, clear of what is written there. */
  const spotsOf = (layout, count, entry) => {
    const sums = Array.from({ length: count }, () => ({ x: 0, y: 0, points: 0, far: Infinity, at: null }));
    const each = (visit) => {
      for (let at = 0; at < layout.region.length; at++) {
        if (layout.region[at] < 0) continue;
        for (const region of layout.of(layout.region[at])) {
          const spot = sums[layout.place[region]];
          if (spot) visit(spot, at % layout.width, Math.floor(at / layout.width));
        }
      }
    };
    each((spot, x, y) => {
      spot.x += x;
      spot.y += y;
      spot.points += 1;
    });
    each((spot, x, y) => {
      const far = entry.sheet ? 0 : (x - spot.x / spot.points) ** 2 + (y - spot.y / spot.points) ** 2;
      if (far < spot.far) [spot.far, spot.at] = [far, [x, y]];
    });
    if (!entry.sheet || entry.corner) return sums.map((spot) => spot.at);
    return sums.map(({ at }) => {
      if (!at) return at;
      const [x, top] = at;
      let y = top;
      while (y < layout.height && layout.region[y * layout.width + x] === layout.region[top * layout.width + x]) y++;
      return [x, (top + y) / 2];
    });
  };

  /* Where they are written: those too close to each other are pushed apart, within the picture. */
  const pushed = (spots, apart, layout) => {
    const inside = (at, most) => Math.min(Math.max(at, apart / 2), Math.max(most - apart / 2, apart / 2));
    const found = spots.map((spot, i) => spot && [inside(spot[0] + i / 100, layout.width), inside(spot[1] + i / 100, layout.height)]);
    for (let round = 0; round < 200; round++) {
      let moved = false;
      for (let i = 0; i < found.length; i++) {
        for (let j = 0; j < i; j++) {
          if (!found[i] || !found[j]) continue;
          const [x, y] = [found[i][0] - found[j][0], found[i][1] - found[j][1]];
          const far = Math.hypot(x, y);
          if (far >= apart) continue;
          const push = (1.02 * apart - far) / far / 2;
          for (const [spot, sign] of [[found[i], push], [found[j], -push]]) {
            spot[0] = inside(spot[0] + sign * x, layout.width);
            spot[1] = inside(spot[1] + sign * y, layout.height);
          }
          moved = true;
        }
      }
      if (!moved) break;
    }
    return found;
  };

  // ---- Drawing over a picture --------------------------------------------------------------------------------------

  const FOR = [245, 120, 20];
  const AGAINST = [30, 110, 230];
  const NUMBERED = 9;

  const paint = (canvas, layout, colourOf) => {
    canvas.width = layout.width;
    canvas.height = layout.height;
    const context = canvas.getContext("2d");
    const image = context.createImageData(layout.width, layout.height);
    const points = new Uint32Array(image.data.buffer); // as the machine has it: alpha, blue, green, red
    for (let at = 0; at < points.length; at++) points[at] = colourOf(layout.region[at], at);
    context.putImageData(image, 0, 0);
    return context;
  };
  const colour = (red, green, blue, alpha) =>
    ((Math.round(255 * alpha) << 24) | (blue << 16) | (green << 8) | red) >>> 0;

  const CLEAR = 0;
  const DARK = colour(8, 10, 12, 0.88);
  const UNSEEN = colour(40, 44, 48, 0.72);
  const EDGE = colour(255, 255, 255, 0.4);
  const DARK_EDGE = colour(74, 79, 84, 0.94);

  /* One view: the first k regions kept, or removed. */
  const paintView = (canvas, layout, entry, k, keeps, marked) => {
    const left = (region) => (layout.place[region] >= 0 && layout.place[region] < k) === keeps;
    const shown = (label) => (entry.cover === "all" ? layout.of(label).every(left) : layout.of(label).some(left));
    const colours = Uint32Array.from({ length: layout.count }, (_, label) => (shown(label) ? CLEAR : DARK));
    const context = paint(canvas, layout, (region, at) => {
      if (region < 0) return region === SHOWN ? CLEAR : UNSEEN;
      return layout.border[at] ? (colours[region] === DARK ? DARK_EDGE : EDGE) : colours[region];
    });
    finish(context, layout, entry, marked);
    if (keeps) numbers(context, layout, entry, Math.min(k, NUMBERED));
  };

  /* Values as colours, each as strong as it is large beside the largest; on a sheet paler, so that what is written there
     is read. Where nothing decides, no colours. */
  const coloursOf = (entry, layout) => {
    const of = (region) => entry.values[layout.place[region]] || 0;
    const values = Float64Array.from({ length: layout.count }, (_, label) => layout.of(label).reduce((sum, region) => sum + of(region), 0));
    const most = values.reduce((high, value) => Math.max(high, Math.abs(value)), 0);
    if (entry.flat || most === 0) return new Uint32Array(layout.count);
    return Uint32Array.from(values, (value) => colour(...(value > 0 ? FOR : AGAINST), (entry.sheet ? 0.45 : 0.8) * Math.abs(value / most) ** 0.7));
  };

  const paintValues = (canvas, layout, entry, on, marked, borders = true) => {
    const colours = on ? coloursOf(entry, layout) : new Uint32Array(layout.count);
    const context = paint(canvas, layout, (region, at) => {
      if (region < 0) return region === SHOWN ? CLEAR : UNSEEN;
      return borders && layout.border[at] ? EDGE : colours[region];
    });
    finish(context, layout, entry, marked);
    if (borders) numbers(context, layout, entry, NUMBERED);
  };

  /* The box that is explained, and the region that is pointed at. */
  const finish = (context, layout, entry, marked) => {
    const { width, height } = layout;
    if (entry.box) {
      const [x0, y0, x1, y1] = entry.box;
      for (const [style, line] of [["rgb(0 0 0 / 70%)", 5], ["#ffd23f", 2.5]]) {
        context.strokeStyle = style;
        context.lineWidth = (line * Math.max(width, height)) / 640;
        context.strokeRect(x0 * width, y0 * height, (x1 - x0) * width, (y1 - y0) * height);
      }
    }
    if (!known(marked) || marked < 0) return;
    context.fillStyle = "#ffeb3c";
    const inside = (at) => layout.region[at] >= 0 && layout.of(layout.region[at]).includes(marked);
    for (let at = 0; at < layout.region.length; at++) {
      if (!layout.border[at]) continue;
      const own = inside(at);
      if (own !== inside(at + 1) || own !== inside(at + width)) context.fillRect((at % width) - 1, Math.floor(at / width) - 1, 3, 3);
    }
  };

  const numbers = (context, layout, entry, count) => {
    const size = Math.round(Math.max(layout.width, layout.height) / (entry.sheet ? 36 : 24));
    if (!layout.spots) {
      layout.spots = spotsOf(layout, NUMBERED, entry);
      layout.written = pushed(layout.spots, 1.05 * size, layout);
    }
    context.font = `700 ${size}px system-ui, sans-serif`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.lineJoin = "round";
    layout.spots.slice(0, count).forEach((spot, place) => {
      if (!spot) return;
      const at = layout.written[place];
      if (Math.hypot(at[0] - spot[0], at[1] - spot[1]) > size) {
        for (const [style, line] of [["rgb(0 0 0 / 80%)", size / 6], ["#fff", size / 14]]) {
          context.strokeStyle = style;
          context.lineWidth = line;
          context.beginPath();
          context.moveTo(...spot);
          context.lineTo(...at);
          context.stroke();
        }
      }
      context.lineWidth = size / 4;
      context.strokeStyle = "rgb(0 0 0 / 80%)";
      context.fillStyle = "#fff";
      context.strokeText(place + 1, ...at);
      context.fillText(place + 1, ...at);
    });
  };

  // ---- Curves ------------------------------------------------------------------------------------------------------

  const DASHES = [null, "6 4", "2 3", "9 3 2 3"];

  /* Round numbers from at most the lowest to at least the highest. */
  const ticksOf = (low, high) => {
    const span = high - low || 1;
    const rough = span / 4;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 2.5, 5, 10].map((each) => each * power).find((each) => each >= rough * 0.999);
    const first = Math.floor(low / step + 1e-6) * step;
    const count = Math.ceil((high - first) / step - 1e-6) || 1;
    return Array.from({ length: count + 1 }, (_, i) => Number((first + i * step).toPrecision(6)));
  };

  /* From points to places in a box. `top` is the score that it must hold at least: 1 where nothing decides, so that
     nothing is blown up. */
  const scalesOf = (entries, box, top = 0) => {
    const scores = entries.flatMap((entry) => [...entry.insertion, ...entry.deletion]).filter(known);
    const least = entries.some((entry) => entry.flat) ? 1 : top;
    const ys = ticksOf(Math.min(0, ...scores), Math.max(...scores, least) || 1);
    const reach = Math.max(...entries.flatMap((entry) => entry.area.filter(known)), 0) || 1;
    const [low, high] = [ys[0], ys[ys.length - 1]];
    return {
      ys,
      reach,
      x: (area) => box.left + (box.width * area) / reach,
      y: (score) => box.top + box.height * (1 - (score - low) / (high - low)),
    };
  };

  /* A path through the points that were measured; it breaks where one was not. */
  const pathOf = (entry, curve, scales) => {
    let pen = "M";
    return entry[curve]
      .map((score, at) => {
        if (!known(score)) {
          pen = "M";
          return "";
        }
        const step = `${pen}${scales.x(entry.area[at]).toFixed(2)} ${scales.y(score).toFixed(2)}`;
        pen = "L";
        return step;
      })
      .join("");
  };

  const linesOf = (entries, scales) =>
    entries.flatMap((entry, i) =>
      [["insertion", "kept"], ["deletion", "gone"]].map(([curve, kind]) =>
        draw("path", { class: `curve-line ${kind}`, d: pathOf(entry, curve, scales), "stroke-dasharray": DASHES[i % 4] }),
      ),
    );

  /* Cards of probabilities have one scale in common, to be compared; scores of another size would make them flat. */
  const small = (score) => known(score) && score <= 1;
  const highest = Math.max(...index.flatMap((row) => [row.score, row.metrics.highest_confidence_100]).filter(small), 0);

  const sparkline = (entry) => {
    const box = { left: 0, top: 3, width: 200, height: 38 };
    const label = `Curves: insertion AUC ${digits(entry.metrics.insertion_auc)}, deletion AUC ${digits(entry.metrics.deletion_auc)}`;
    const scales = scalesOf([entry], box, [...entry.insertion, ...entry.deletion].filter(known).every(small) ? highest : 0);
    return draw("svg", { viewBox: "0 0 200 44", role: "img", "aria-label": label },
      draw("line", { class: "grid-line", x1: 0, x2: 200, y1: 41, y2: 41 }), ...linesOf([entry], scales));
  };

  const PLOT = { left: 74, top: 8, width: 468, height: 150 };

  const plotOf = (entries) => {
    const scales = scalesOf(entries, PLOT);
    const bottom = PLOT.top + PLOT.height;
    const svg = draw("svg", { viewBox: "0 0 560 204", role: "img", "aria-label": `Score of the target against the share of the ${entries[0].extent} kept or removed` });
    for (const tick of scales.ys) {
      const y = scales.y(tick);
      svg.append(draw("line", { class: "grid-line", x1: PLOT.left, x2: PLOT.left + PLOT.width, y1: y, y2: y }),
        draw("text", { x: PLOT.left - 8, y: y + 4, "text-anchor": "end", "font-size": 12 }, minus(String(tick))));
    }
    const shares = ticksOf(0, scales.reach).filter((tick) => tick <= scales.reach * 1.001);
    for (const tick of shares) {
      svg.append(draw("text", { x: scales.x(tick), y: bottom + 21, "text-anchor": "middle", "font-size": 12 }, `${Number((100 * tick).toPrecision(4))} %`));
    }
    const middle = PLOT.top + PLOT.height / 2;
    svg.append(
      draw("text", { x: PLOT.left + PLOT.width / 2, y: bottom + 42, "text-anchor": "middle", "font-size": 12.5 }, `share of the ${entries[0].extent} kept or removed`),
      draw("text", { x: 14, y: middle, "text-anchor": "middle", "font-size": 12.5, transform: `rotate(-90 14 ${middle})` }, "score of the target"),
      ...linesOf(entries, scales),
    );
    const marks = draw("g");
    svg.append(marks);
    return { svg, marks, scales, entries };
  };

  const markAt = (plot, k) => {
    const { scales } = plot;
    plot.marks.replaceChildren();
    for (const entry of plot.entries) {
      const at = Math.min(k, entry.shown);
      const x = scales.x(entry.area[at]);
      plot.marks.append(draw("line", { class: "at-k", x1: x, x2: x, y1: PLOT.top, y2: PLOT.top + PLOT.height }));
      for (const [curve, kind] of [["insertion", "kept"], ["deletion", "gone"]]) {
        const score = entry[curve][at];
        if (known(score)) plot.marks.append(draw("circle", { class: `dot ${kind}`, cx: x, cy: scales.y(score), r: 5.5 }));
      }
    }
  };

  // ---- Cards -------------------------------------------------------------------------------------------------------

  /* Whether it is the model's own answer that is explained. Which answer would be right, the page does not know. */
  const verdict = (row) => {
    if (row.flat) return make("span", { class: "mark flat" }, make("span", { "aria-hidden": "true" }, "○"), "nothing decides");
    if (row.wrong === null) return null;
    const [kind, sign, words] = row.wrong ? ["other", "≠", `the model says ${row.says}`] : ["own", "=", "the model's own answer"];
    return make("span", { class: `mark ${kind}` }, make("span", { "aria-hidden": "true" }, sign), make("span", {}, words));
  };

  const cardOf = (row) => {
    const number = (name, kind, value) => make("span", {}, make("span", { class: kind }, name), " ", make("b", {}, value));
    const shot = row.aspect ? make("span", { class: "shot" }) : null;
    const card = make("button", { type: "button", class: "card", "data-number": row.number },
      shot,
      make("span", { class: "text" },
        make("span", { class: "title" }, make("span", {}, row.title), make("span", { class: "score" }, digits(row.score))),
        make("span", { class: "id" }, [row.id, row.method].filter(known).join(" · ")),
        verdict(row),
      ),
      make("span", { class: "curve" }),
      make("span", { class: "numbers" },
        number("insertion", "kept-text", digits(row.metrics.insertion_auc, 3)), number("deletion", "gone-text", digits(row.metrics.deletion_auc, 3))),
    );
    card.addEventListener("click", () => open(row.number));
    return make("li", {}, card);
  };

  /* A picture and a canvas over it, of the shape of the image. */
  const stackOf = (entry, kind, description) => {
    const stack = make("span", { class: kind }, make("img", { src: entry.picture, alt: description, draggable: "false" }), make("canvas"));
    stack.style.aspectRatio = String(entry.aspect);
    return stack;
  };

  const fillCard = (item) => {
    const card = item.firstChild;
    const curve = card.querySelector(".curve");
    if (curve.firstChild) return;
    const entry = entryOf(Number(card.dataset.number));
    curve.append(sparkline(entry));
    const shot = card.querySelector(".shot");
    if (!shot) return;
    const stack = stackOf(entry, "stack", "");
    stack.style[entry.aspect > 4 / 3 ? "width" : "height"] = "100%"; // all of it: a cut picture would hide regions
    shot.append(stack);
    paintValues(stack.querySelector("canvas"), layOut(entry, 256), entry, true, null, false);
  };
  const emptyCard = (item) => {
    item.querySelector(".curve").replaceChildren();
    const shot = item.querySelector(".shot");
    if (shot) shot.replaceChildren();
  };

  const cards = byId("cards");
  const items = index.map(cardOf);
  const near = new IntersectionObserver(
    (seen) => seen.forEach((each) => (each.isIntersecting ? fillCard : emptyCard)(each.target)),
    { rootMargin: "300px 0px" },
  );
  window.addEventListener("beforeprint", () => [...cards.children].forEach(fillCard));

  // ---- Sorting and filtering ---------------------------------------------------------------------------------------

  const controls = Object.fromEntries(["sort", "direction", "class", "answer", "search", "count"].map((id) => [id, byId(id)]));
  let descending = false;
  let listed = index; // rows as they are shown

  const valueOf = (row, metric) => (metric in row.metrics ? row.metrics[metric] : row[metric]);

  const fillControls = () => {
    const metrics = [...new Set(index.flatMap((row) => Object.keys(row.metrics)))];
    const sorts = [["number", "order given"], ["id", "name"], ["title", "class"], ...[...metrics, "score", "evaluations", "seconds", "n"].map((each) => [each, named(each)])];
    controls.sort.append(...sorts.map(([value, text]) => make("option", { value }, text)));
    const titles = [...new Set(index.map((row) => row.title))].sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));
    controls.class.append(...titles.map((title) => make("option", { value: `=${title}` }, title)));
  };

  const compare = (metric) => (a, b) => {
    const [left, right] = [valueOf(a, metric), valueOf(b, metric)];
    if (!known(left) || !known(right)) return known(right) - known(left); // what is not known comes last either way
    const order = typeof left === "string" ? left.localeCompare(right, undefined, { numeric: true }) : left - right;
    return descending ? -order : order;
  };

  const matches = (row) => {
    const answer = row.wrong === null ? "unknown" : row.wrong ? "other" : "own";
    const wanted = controls.search.value.trim().toLowerCase();
    return (
      (!controls.class.value || controls.class.value === `=${row.title}`) &&
      (!controls.answer.value || controls.answer.value === answer) &&
      row.id.toLowerCase().includes(wanted)
    );
  };

  const arrange = () => {
    listed = index.filter(matches).sort(compare(controls.sort.value));
    near.disconnect();
    cards.replaceChildren(...listed.map((row) => items[row.number]));
    listed.forEach((row) => near.observe(items[row.number]));
    controls.count.textContent = `${listed.length} of ${index.length}`;
    byId("none").hidden = listed.length > 0;
    controls.direction.firstChild.textContent = descending ? "↓" : "↑";
    controls.direction.setAttribute("aria-label", `Sort direction: ${descending ? "descending" : "ascending"}`);
  };

  const fillModels = () => {
    const models = [...new Set(index.map((row) => row.model).filter(known))];
    byId("models").hidden = !models.length || models.length > 3;
    byId("models").textContent = `${models.length > 1 ? "The models" : "The model"}: ${models.join(", ")}.`;
  };

  fillControls();
  fillModels();
  for (const name of ["sort", "class", "answer"]) controls[name].addEventListener("change", arrange);
  controls.search.addEventListener("input", arrange);
  controls.direction.addEventListener("click", () => {
    descending = !descending;
    arrange();
  });
  byId("reset").addEventListener("click", () => {
    for (const name of ["class", "answer", "search"]) controls[name].value = "";
    arrange();
    controls.search.focus();
  });
  byId("toolbar").addEventListener("submit", (event) => event.preventDefault());

  // ---- One decision ------------------------------------------------------------------------------------------------

  const SIDE = 640; // points of a canvas's longer side
  const BESIDE = 4; // explanations of one input side by side, at most
  const dialog = byId("detail");
  const slider = byId("k");
  const hover = byId("hover");
  const tip = byId("tip");
  const state = { row: null, panels: [], targets: 1, plot: null, k: 0, importance: true, due: false };

  const groupOf = (row) => {
    if (!row.named) return [row];
    const same = index.filter((each) => each.named && each.id === row.id);
    const from = Math.max(0, Math.min(same.indexOf(row), same.length - BESIDE));
    return same.slice(from, from + BESIDE);
  };

  const open = (number) => {
    const row = index[number];
    state.row = row;
    const entries = groupOf(row).map((each) => entryOf(each.number));
    state.targets = new Set(entries.map((entry) => entry.title)).size;
    state.panels = entries.map((entry, i) => panelOf(entry, i, entries.length > 1));
    state.plot = plotOf(entries);
    byId("panels").replaceChildren(...state.panels.map((panel) => panel.element));
    byId("panels").classList.toggle("several", entries.length > 1);
    byId("curves").replaceChildren(state.plot.svg);
    byId("legend").replaceChildren(...entries.flatMap((entry, i) => legendOf(entry, i, entries.length > 1)));
    byId("tables").replaceChildren(...state.panels.map((panel) => panel.table));
    byId("made-by").replaceChildren(...entries.map((entry) => madeOf(entry, entries.length > 1)));
    head(entries);
    slider.max = Math.max(...entries.map((entry) => entry.shown));
    hover.textContent = "Point at a region, or touch it, to read what it did.";
    hover.hidden = byId("importance").hidden = !entries.some((entry) => entry.picture);
    setK(entryOf(number).best);
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
    byId("detail-title").focus({ preventScroll: true });
  };

  const head = (entries) => {
    const row = state.row;
    byId("detail-title").textContent = `${row.why} ${digits(row.score)}`;
    const facts = [row.id, ...(entries.length > 1 ? [`${entries.length} explanations of one input`] : [row.model, row.method, `${row.evaluations} evaluations`, seconds(row.seconds)])];
    const line = [row.flat ? "nothing decides: the score hardly moves" : null, ...facts].filter((each) => known(each));
    byId("detail-line").replaceChildren(line.join(" · "), " ", verdict(row) && !row.flat ? verdict(row) : "");
    const at = listed.indexOf(row);
    byId("position").textContent = at < 0 ? "" : `${at + 1} of ${listed.length}`;
  };

  /* What tells explanations of one input apart: the method, and the target where they have several. */
  const methodOf = (entry, i) => {
    const words = [state.targets > 1 ? entry.title : null, entry.method];
    return `${i + 1}. ${words.filter(known).join(", ") || "explanation"}`;
  };

  const panelOf = (entry, i, several) => {
    const panel = { entry, layout: null, canvases: [], captions: [], element: make("section", { class: "panel", "aria-label": several ? methodOf(entry, i) : "Views" }) };
    if (several) {
      const cost = `${entry.evaluations} evaluations, insertion ${digits(entry.metrics.insertion_auc, 3)}, deletion ${digits(entry.metrics.deletion_auc, 3)}`;
      panel.element.append(make("h3", {}, methodOf(entry, i), make("span", { class: "quiet" }, cost)));
    }
    panel.element.append(make("p", { class: "words" }, entry.words));
    panel.table = tableOf(entry, several ? methodOf(entry, i) : null, panel);
    if (!entry.picture) return panel;
    panel.layout = layOut(entry, SIDE);
    const views = make("div", { class: "views" });
    for (const name of ["kept", "removed", "importance"]) views.append(viewOf(panel, name));
    panel.element.append(views);
    return panel;
  };

  const viewOf = (panel, name) => {
    const { entry } = panel;
    const about = { kept: "The first regions alone", removed: "The image without the first regions", importance: "What each region did" };
    const view = stackOf(entry, name === "importance" ? "view pale" : "view", about[name]);
    view.style.width = `min(100%, var(--high) * ${entry.aspect})`;
    const frame = make("div", { class: "frame" }, view);
    const canvas = view.querySelector("canvas");
    canvas.dataset.view = name;
    const caption = make("figcaption");
    panel.canvases.push(canvas);
    panel.captions.push(caption);
    canvas.addEventListener("pointermove", (event) => point(panel, event));
    canvas.addEventListener("pointerdown", (event) => point(panel, event));
    canvas.addEventListener("pointerleave", (event) => event.pointerType === "touch" || mark(panel, null)); // a finger is gone at once
    if (name === "importance") caption.append(...scaleOf(entry));
    return make("figure", {}, frame, caption);
  };

  const scaleOf = (entry) => {
    if (entry.flat) return [make("b", {}, "nothing decides"), make("span", {}, "no region is coloured")];
    const most = Math.max(...entry.values.map((value) => Math.abs(value || 0)), 0);
    return [make("b", {}, "importance"), make("span", { class: "scale" }, precise(-most), make("span", { class: "ramp", "aria-hidden": "true" }), precise(most))];
  };

  const legendOf = (entry, i, several) => {
    const method = several ? `${methodOf(entry, i)}: ` : "";
    return [["kept", `kept (insertion), AUC ${digits(entry.metrics.insertion_auc, 3)}`], ["gone", `removed (deletion), AUC ${digits(entry.metrics.deletion_auc, 3)}`]].map(([kind, text]) =>
      make("span", {}, draw("svg", { viewBox: "0 0 28 8", "aria-hidden": "true" }, draw("path", { class: `curve-line ${kind}`, d: "M1 4H27", "stroke-dasharray": DASHES[i % 4] })), `${method}${text}`));
  };

  const areaOf = (entry, place) => entry.area[place + 1] - entry.area[place];

  const tableOf = (entry, method, panel) => {
    const heads = [entry.players ? `Place, ${entry.called.slice(0, -1)}` : "Place", "Value", entry.extent === "area" ? "Area" : "Share", "Kept", "Removed"];
    const count = Math.min(entry.shown, method ? 5 : 8);
    const rows = entry.order.slice(0, count).map((region, place) => {
      const cells = [precise(entry.values[place]), share(areaOf(entry, place)), digits(entry.insertion[place + 1]), digits(entry.deletion[place + 1])];
      const row = make("tr", {}, make("th", { scope: "row" }, entry.players?.[place] ? `${place + 1}  ${entry.players[place]}` : place + 1), ...cells.map((cell) => make("td", {}, cell)));
      row.addEventListener("pointerenter", () => mark(panel, region));
      row.addEventListener("pointerleave", () => mark(panel, null));
      return row;
    });
    const rest = entry.shown < entry.n ? `; ${entry.shown} of ${entry.n} ${entry.called} are placed here` : "";
    return make("table", {}, make("caption", {}, `${method ? `${method}: the` : "The"} first ${count} ${entry.called}${rest}`),
      make("thead", {}, make("tr", {}, ...heads.map((head) => make("th", { scope: "col" }, head)))), make("tbody", {}, ...rows));
  };

  const madeOf = (entry, several) => make("dl", { class: "made" },
    ...[...(several ? [["method", entry.method || ""]] : []), [entry.called, String(entry.n)], ["evaluations", String(entry.evaluations)], ["seconds", String(entry.seconds)], ...Object.entries(entry.metrics).map(([name, value]) => [named(name), digits(value, 3)]), ...entry.made]
      .flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));

  const setK = (k) => {
    state.k = Math.max(0, Math.min(Number(slider.max), k));
    slider.value = state.k;
    const chosen = state.panels.findIndex((panel) => panel.entry.number === state.row.number);
    const { entry } = state.panels[chosen];
    const at = Math.min(state.k, entry.shown);
    const whose = state.panels.length > 1 ? `${methodOf(entry, chosen)}: ` : "";
    const words = `${whose}${at} of ${entry.n} ${entry.called}, ${share(entry.area[at])} of the ${entry.extent}: kept ${digits(entry.insertion[at])}, removed ${digits(entry.deletion[at])}`;
    byId("readout").textContent = words;
    slider.setAttribute("aria-valuetext", words);
    redraw();
  };

  /* Once a frame, however often it is asked for. */
  const redraw = () => {
    if (state.due) return;
    state.due = true;
    requestAnimationFrame(() => {
      state.due = false;
      state.panels.forEach(redrawPanel);
      markAt(state.plot, state.k);
    });
  };

  const redrawPanel = (panel) => {
    const { entry, layout, canvases, captions, table } = panel;
    const k = Math.min(state.k, entry.shown);
    [...table.tBodies[0].rows].forEach((row, place) => row.classList.toggle("in", place < k));
    if (!layout) return;
    paintView(canvases[0], layout, entry, k, true, panel.marked);
    paintView(canvases[1], layout, entry, k, false, panel.marked);
    paintValues(canvases[2], layout, entry, state.importance, panel.marked);
    captions[0].replaceChildren(make("span", {}, "kept"), make("b", { class: "kept-text" }, digits(entry.insertion[k], 3)));
    captions[1].replaceChildren(make("span", {}, "removed"), make("b", { class: "gone-text" }, digits(entry.deletion[k], 3)));
  };

  // ---- Pointing at regions -----------------------------------------------------------------------------------------

  const wordsOf = (panel, region) => {
    const { entry, layout } = panel;
    if (region === OUTSIDE) return "outside of what the model sees";
    if (region === SHOWN) return "always shown";
    const place = layout ? layout.place[region] : entry.order.indexOf(region);
    if (place < 0) return "not placed";
    const name = entry.players?.[place] ? `${entry.players[place]}: ` : "";
    return `${name}place ${place + 1} of ${entry.n}, value ${precise(entry.values[place])}, ${share(areaOf(entry, place))} of the ${entry.extent}`;
  };

  const mark = (panel, region) => {
    if (region === null) tip.hidden = true;
    if (panel.marked === region) return;
    panel.marked = region;
    if (region !== null) hover.textContent = wordsOf(panel, region);
    redraw();
  };

  const point = (panel, event) => {
    const { layout } = panel;
    const box = event.currentTarget.getBoundingClientRect();
    const x = Math.min(layout.width - 1, Math.max(0, Math.floor(((event.clientX - box.left) / box.width) * layout.width)));
    const y = Math.min(layout.height - 1, Math.max(0, Math.floor(((event.clientY - box.top) / box.height) * layout.height)));
    const label = layout.region[y * layout.width + x];
    mark(panel, label < 0 ? label : layout.of(label)[0]);
    tip.textContent = hover.textContent;
    tip.hidden = false;
    const left = Math.min(event.clientX + 14, window.innerWidth - tip.offsetWidth - 8);
    const above = event.clientY - tip.offsetHeight - 12;
    tip.style.left = `${Math.max(8, left)}px`;
    tip.style.top = `${above < 8 ? event.clientY + 20 : above}px`;
  };

  // ---- Keys and buttons --------------------------------------------------------------------------------------------

  /* The next one listed that is not on the screen already. */
  const step = (by) => {
    const here = new Set(state.panels.map((panel) => panel.entry.number));
    let at = listed.indexOf(state.row);
    do at += by;
    while (listed[at] && here.has(listed[at].number));
    if (listed[at]) open(listed[at].number);
  };

  const toggleImportance = () => {
    state.importance = !state.importance;
    byId("importance").setAttribute("aria-pressed", String(state.importance));
    redraw();
  };

  const KEYS = {
    ArrowLeft: () => step(-1),
    ArrowRight: () => step(1),
    ArrowUp: () => setK(state.k + 1),
    ArrowDown: () => setK(state.k - 1),
    Home: () => setK(0),
    End: () => setK(Number(slider.max)),
    i: toggleImportance,
    I: toggleImportance,
  };

  dialog.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in KEYS)) return;
    if (event.target === slider && event.key !== "i" && event.key !== "I") return; // it moves by itself
    event.preventDefault();
    KEYS[event.key]();
  });
  slider.addEventListener("input", () => setK(Number(slider.value)));
  byId("importance").addEventListener("click", toggleImportance);
  byId("previous").addEventListener("click", () => step(-1));
  byId("next").addEventListener("click", () => step(1));
  byId("close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close(); // beside it
  });
  dialog.addEventListener("pointerdown", (event) => {
    if (event.target.tagName !== "CANVAS") state.panels.forEach((panel) => mark(panel, null));
  });
  dialog.addEventListener("close", () => {
    tip.hidden = true;
    const card = state.row && items[state.row.number].firstChild;
    if (card && card.isConnected) card.focus();
  });

  arrange();
})();
