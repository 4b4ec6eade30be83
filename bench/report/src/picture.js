/**
 * The chart of a question: a bar per peer, with whiskers from the smallest to the largest repetition. Orosync is coloured, others
 * are grey. Works on light and dark backgrounds: the background is transparent, and text follows the reader's colour scheme.
 */

import * as vega from 'vega';

import { figure, times } from './figures.js';
import { isOurs, nameOf } from './names.js';
import { referenceOf } from './questions.js';

/** @import { Case, Result } from './results.js' */
/** @import { Question } from './questions.js' */

const WIDTH = 860;
const LABELS = 270;
const FIGURES = 130;
const BARS = WIDTH - LABELS - FIGURES;
const ROW = 22;
const HEAD = 34;

/** Ratio of the longest bar to the reference above which the scale is logarithmic. */
const LINEAR_UP_TO = 25;

/** Colours on a light background, and their counterparts on a dark one. */
const INK = { text: '#1f2328', quiet: '#59636e', line: '#818b98', peer: '#afb8c1', ours: '#0a7ea4' };
const DARK = { text: '#f0f6fc', quiet: '#9198a1', line: '#767e88', peer: '#59626d', ours: '#35b6de' };

/**
 * @param {Question} question
 * @param {Result} result
 * @returns {Promise<string>} SVG
 */
export const picture = async (question, result) => {
  const cases = result.cases.filter((one) => question.pictured.test(one.name));
  const { heads, bars, height } = place(question, cases);
  const longest = Math.max(...bars.map((bar) => bar.length));
  const isRatio = bars.some((bar) => bar.isReference);
  const positive = bars.map((bar) => bar.length).filter((length) => length > 0);
  const isLogarithmic = isRatio && longest > LINEAR_UP_TO;
  const low = isLogarithmic ? Math.min(0.5, ...positive) : 0;
  const high = Math.max(longest, low) * (isLogarithmic ? 1.6 : 1.08) || 1;
  const title = `${result.title}: ${result.unit}`;
  heads.push({ y: height - 10, text: legend(result.unit, isRatio, isLogarithmic), weight: 'normal' });
  const view = new vega.View(vega.parse(specification(title, heads, bars, { low, high, height, isLogarithmic, isRatio })), {
    renderer: 'none',
  });
  return inBothSchemes(await view.toSVG(), title);
};

/**
 * The layout, from top to bottom.
 *
 * @param {Question} question
 * @param {Case[]} cases
 */
const place = (question, cases) => {
  let y = 0;
  const heads = [];
  const bars = [];
  for (const one of cases) {
    y += HEAD;
    const reference = referenceOf(question, one);
    const unit = reference?.median ?? 1;
    heads.push({ y: y - 10, text: one.name + (reference ? ` (1 = ${nameOf(reference.peer)})` : ''), weight: 'bold' });
    for (const row of one.rows) {
      const ratio = reference ? (row.ratio_to[reference.peer] ?? 1) : 1;
      const length = reference ? ratio : row.median;
      bars.push({
        y,
        name: nameOf(row.peer),
        length,
        from: row.min / unit,
        to: row.max / unit,
        text: reference ? `${times(ratio)}  (${figure(row.median)})` : figure(row.median),
        ink: isOurs(row.peer) ? INK.ours : INK.peer,
        weight: isOurs(row.peer) ? 'bold' : 'normal',
        isReference: row === reference,
      });
      y += ROW;
    }
  }
  return { heads, bars, height: y + HEAD };
};

/** The legend of bars and figures. @type {(unit: string, isRatio: boolean, isLogarithmic: boolean) => string} */
const legend = (unit, isRatio, isLogarithmic) => {
  const figures = isRatio ? `bars: ratio${isLogarithmic ? ', logarithmic' : ''}; in brackets: ${unit}` : unit;
  return `${figures}; medians, whiskers from the least to the most of all repetitions`;
};

/**
 * @param {string} title
 * @param {object[]} heads
 * @param {object[]} bars
 * @param {{ low: number, high: number, height: number, isLogarithmic: boolean, isRatio: boolean }} form
 * @returns {vega.Spec}
 */
const specification = (title, heads, bars, { low, high, height, isLogarithmic, isRatio }) => {
  const origin = isLogarithmic ? 1 : 0;
  /** @type {(field: string) => { signal: string }} */
  const x = (field) => ({ signal: `${LABELS} + scale('length', clamp(datum.${field}, ${low || 0}, ${high}))` });
  const middle = { field: 'y', offset: ROW / 2 - 2 };
  const font = /** @type {const} */ ({
    font: { value: 'system-ui, sans-serif' },
    fontSize: { value: 13 },
    baseline: { value: 'middle' },
  });
  /** @type {[number, number]} */
  const domain = [low, high];
  /** @type {[number, number]} */
  const range = [0, BARS];
  return {
    description: title,
    // Text widths are estimates here, so no layout depends on them.
    autosize: 'none',
    width: WIDTH,
    height,
    padding: 8,
    data: [
      { name: 'heads', values: heads },
      { name: 'bars', values: bars },
    ],
    scales: [isLogarithmic ? { name: 'length', type: 'log', domain, range } : { name: 'length', type: 'linear', domain, range }],
    marks: [
      {
        type: 'text',
        from: { data: 'heads' },
        encode: { enter: { ...font, x: { value: 0 }, y: { field: 'y' }, text: { field: 'text' }, fontWeight: { field: 'weight' }, fill: { value: INK.text } } },
      },
      {
        type: 'rect',
        from: { data: 'bars' },
        encode: {
          enter: {
            x: { signal: `${LABELS} + scale('length', ${origin})` },
            x2: x('length'),
            y: { field: 'y' },
            height: { value: ROW - 5 },
            fill: { field: 'ink' },
          },
        },
      },
      {
        type: 'rule',
        from: { data: 'bars' },
        encode: { enter: { x: x('from'), x2: x('to'), y: middle, stroke: { value: INK.text }, strokeWidth: { value: 1.2 } } },
      },
      ...['from', 'to'].map((end) => /** @type {vega.Mark} */ ({
        type: 'rule',
        from: { data: 'bars' },
        encode: {
          enter: {
            x: x(end),
            y: { field: 'y', offset: ROW / 2 - 6 },
            y2: { field: 'y', offset: ROW / 2 + 2 },
            stroke: { value: INK.text },
            strokeWidth: { value: 1.2 },
          },
        },
      })),
      ...(isRatio
        ? [
            /** @type {vega.Mark} */ ({
              type: 'rule',
              encode: {
                enter: {
                  x: { signal: `${LABELS} + scale('length', 1)` },
                  y: { value: HEAD - 4 },
                  y2: { value: height - HEAD },
                  stroke: { value: INK.line },
                  strokeDash: { value: [3, 3] },
                },
              },
            }),
          ]
        : []),
      {
        type: 'text',
        from: { data: 'bars' },
        encode: { enter: { ...font, x: { value: LABELS - 8 }, align: { value: 'right' }, y: middle, text: { field: 'name' }, fontWeight: { field: 'weight' }, fill: { value: INK.text } } },
      },
      {
        type: 'text',
        from: { data: 'bars' },
        encode: { enter: { ...font, x: { value: WIDTH }, align: { value: 'right' }, y: middle, text: { field: 'text' }, fontWeight: { field: 'weight' }, fill: { value: INK.quiet } } },
      },
    ],
  };
};

/**
 * Adds the colours of the dark scheme and a title, and removes the background.
 *
 * @param {string} svg
 * @param {string} title
 */
const inBothSchemes = (svg, title) => {
  const rules = Object.entries(INK).flatMap(([name, light]) => {
    const dark = DARK[/** @type {keyof typeof DARK} */ (name)];
    return [`[fill="${light}"]{fill:${dark}}`, `[stroke="${light}"]{stroke:${dark}}`];
  });
  const style = `<title>${title}</title><style>@media (prefers-color-scheme:dark){${rules.join('')}}</style>`;
  return `${svg.replace(/<rect [^>]*fill="white"\/>/, '').replace(/^(<svg [^>]*>)/, `$1${style}`)}\n`;
};
