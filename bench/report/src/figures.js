/** Figures as people read them. */

const THOUSANDS = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

/** Three digits; no fraction from a hundred on. @type {(value: number) => string} */
export const figure = (value) => {
  if (value === 0) {
    return '0';
  }
  const size = Math.abs(value);
  return size >= 100 ? THOUSANDS.format(value) : value.toFixed(Math.min(6, Math.max(0, 2 - Math.floor(Math.log10(size)))));
};

/** A ratio. @type {(value: number) => string} */
export const times = (value) => `${value >= 100 ? THOUSANDS.format(value) : value >= 10 ? value.toFixed(0) : value.toFixed(2)} x`;
