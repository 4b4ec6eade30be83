/** Updates the README's table of figures. */

/** The marks around the README's table. */
const [BEGIN, END] = ['<!-- figures -->\n\n', '\n\n<!-- /figures -->'];

/**
 * The README with this table between its marks.
 *
 * @type {(readme: string, table: string) => string}
 */
export const withTable = (readme, table) => {
  const [before, rest] = [readme.indexOf(BEGIN), readme.indexOf(END)];
  if (before === -1 || rest < before) {
    throw new Error('README.md lacks the marks of the table of figures: <!-- figures --> and <!-- /figures -->');
  }
  return readme.slice(0, before + BEGIN.length) + table + readme.slice(rest);
};
