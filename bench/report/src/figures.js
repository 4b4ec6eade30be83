/** Formatting of figures. */

const THOUSANDS = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

/** Three significant digits; no fraction from 100 up. @type {(value: number) => string} */
export const figure = (value) => {
  if (value === 0) {
    return '0';
  }
  const size = Math.abs(value);
  return size >= 100 ? THOUSANDS.format(value) : value.toFixed(Math.min(6, Math.max(0, 2 - Math.floor(Math.log10(size)))));
};

/** A ratio with two decimals; small ones with two significant digits. @type {(value: number) => string} */
export const times = (value) => `${ratio(value)} x`;

/** @type {(value: number) => string} */
const ratio = (value) => {
  if (value >= 10) {
    return value >= 100 ? THOUSANDS.format(value) : value.toFixed(0);
  }
  return value >= 0.1 || value <= 0 ? (Math.round(value * 100) / 100).toFixed(2) : value.toFixed(Math.min(6, 1 - Math.floor(Math.log10(value))));
};
