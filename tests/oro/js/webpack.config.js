// Bundles the unmodified JavaScript of one OroPlatform version (Resources/public) into OUTPUT/oro-VERSION.js.
//
// Its modules are found as Oro's own build finds them: by the aliases and the map of its jsmodules.yml. What the build of a whole
// application generates is written here: routes, configuration by module, modules loaded by name. The entry makes the modules
// that the pages use reachable as window.Oro. Environment: ORO, the version; BUNDLES, its src/Oro/Bundle; AUTOBAHN, autobahn-js;
// OUTPUT; PUBLIC, another directory of assets for OroSyncBundle, or empty.

import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';
import { load as parseYaml } from 'js-yaml';
import webpack from 'webpack';

const { ORO = '', AUTOBAHN = '', OUTPUT = '' } = process.env;
/** The real path of a directory, as used by webpack. */
const real = (/** @type {string | undefined} */ directory) => directory ? fs.realpathSync(directory) : '';
const BUNDLES = real(process.env.BUNDLES);
const PUBLIC = real(process.env.PUBLIC);
const here = import.meta.dirname;
const { resolve: locate } = createRequire(import.meta.url);
const packages = path.join(here, 'node_modules');
const generated = path.join(OUTPUT, `generated-${ORO}`);
const BUNDLES_WITH_ALIASES = ['UI', 'Sync', 'Translation', 'Navigation', 'DataGrid', 'Locale', 'Form'];

fs.mkdirSync(generated, { recursive: true });

/** Writes a generated module. @type {(name: string, text: string) => string} */
const generate = (name, text) => {
    const file = path.join(generated, name);
    fs.writeFileSync(file, text);
    return file;
};

/** Directories of assets, by the name under which `assets:install` publishes them. @type {Record<string, string>} */
const assets = Object.fromEntries(fs.readdirSync(BUNDLES).map((name) => [
    `oro${name.replace(/Bundle$/, '').toLowerCase()}`,
    path.join(BUNDLES, name, 'Resources/public'),
]));
if (PUBLIC) {
    assets.orosync = PUBLIC;
}

/** @type {Record<string, string>} */
const aliases = {};
/** @type {Record<string, Record<string, string>>} */
const maps = { '*': {} };
for (const name of BUNDLES_WITH_ALIASES) {
    for (const place of ['config/oro/jsmodules.yml', 'config/jsmodules.yml']) {
        const file = path.join(BUNDLES, `${name}Bundle/Resources`, place);
        const modules = fs.existsSync(file) ? parseYaml(fs.readFileSync(file, 'utf8')) ?? {} : {};
        Object.assign(aliases, modules.aliases);
        for (const [module, map] of Object.entries(modules.map ?? {})) {
            maps[module] = { ...maps[module], ...map };
        }
    }
}

/** Configuration of modules, by the module path that Babel's plugin writes. */
const configurations = () => {
    const id = (/** @type {string} */ file) => path.relative(here, path.join(BUNDLES, file));
    const ofUi = ['extend/underscore', 'component-shortcuts-manager', 'error', 'extend/bootstrap/bootstrap-dropdown', 'tools/scroll-helper',
        'messenger', 'modal'];
    return {
        [id('EmailBundle/Resources/public/js/app/components/new-email-message-component.js')]:
            { __moduleName: 'new-email', wsChannel: 'oro/email_event/1/1' },
        [id('TranslationBundle/Resources/public/js/translator.js')]: { __moduleName: 'translator' },
        ...Object.fromEntries(ofUi.map((file) => [id(`UIBundle/Resources/public/js/${file}.js`), { __moduleName: file }])),
    };
};

const routes = generate('routing.cjs',
    "module.exports = { generate: name => ({ oro_sync_ticket: '/sync/ticket' })[name] || '/' + name };");
/** Modules that are not files of a bundle. @type {Record<string, string>} */
const ours = {
    '@oroinc/autobahnjs/autobahn/autobahn': path.join(AUTOBAHN, 'autobahn/autobahn.js'),
    'underscore/underscore': path.join(packages, 'underscore/underscore.js'),
    'when/when': path.join(packages, 'when/when.js'),
    'configs.json': generate('configs.json', JSON.stringify(configurations())),
    'dynamic-imports': generate('dynamic.cjs', 'module.exports = window.dynamicModules = window.dynamicModules || {};'),
    routing: routes,
    'oronavigation/js/routes-loader': routes,
};
const templateLoader = generate('template-loader.cjs', `const _ = require('${packages}/underscore');
module.exports = source => "var _ = require('underscore'); _ = _.default || _; module.exports = " + _.template(source).source + ';';`);

const reminder = ['app/components/reminder-handler-component', 'reminder-handler']
    .find((name) => fs.existsSync(path.join(assets.ororeminder, `js/${name}.js`)));
/** Modules used by the pages, by their names in window.Oro. @type {Record<string, string>} */
const used = {
    $: 'jquery', _: 'underscore', sync: 'orosync/js/sync', Wamp: 'orosync/js/sync/wamp', mediator: 'oroui/js/mediator',
    messenger: 'oroui/js/messenger', Modal: 'oroui/js/modal', translate: 'orotranslation/js/translator',
    contentManager: 'orosync/js/content-manager', routing: 'routing', loadModules: 'oroui/js/app/services/load-modules',
    NewEmail: 'oroemail/js/app/components/new-email-message-component',
    AttributeImport: 'oroentityconfig/js/components/attribute-import-sync-notifier', Reminder: `ororeminder/js/${reminder}`,
};
const entry = generate('entry.js', [
    ...Object.entries(used).map(([name, module]) => `import ${name} from '${module}';`),
    "import 'orosync/js/app/modules/content-manager-module';",
    "import 'orosync/js/app/components/tag-content';",
    "import 'orosync/js/app/components/ping-handler';",
    `window.Oro = { ${Object.keys(used).join(', ')} };`,
    'window.loadModules = loadModules; window.$ = window.jQuery = $;',
    ...Object.entries(used).map(([name, module]) => `window.dynamicModules['${module}'] = () => Promise.resolve({ default: ${name} });`),
    "window.dynamicModules['oronavigation/js/routes-loader'] = window.dynamicModules.routing;",
].join('\n'));

const aliasOf = Object.fromEntries(Object.entries(aliases).map(([alias, target]) => [target, alias.replace(/\$$/, '')]));

/** The name of the importing module in the map of jsmodules.yml. */
const nameOf = (/** @type {string | undefined} */ file) => {
    const bundle = Object.keys(assets).find((name) => file?.startsWith(`${assets[name]}/`));
    const name = bundle && file ? bundle + file.slice(assets[bundle].length).replace(/\.js$/, '') : file ?? '';
    return aliasOf[name] ?? name;
};

/** The file or package of a module name. @type {(request: string, issuer: string | undefined) => string} */
const resolve = (request, issuer) => {
    let name = { ...maps['*'], ...maps[nameOf(issuer)] }[request] ?? request;
    // An alias may refer to another one; Oro nests two levels.
    for (let depth = 0; depth < 4 && !ours[name] && aliases[`${name}$`]; depth++) {
        name = aliases[`${name}$`];
    }
    const [first, ...rest] = name.split('/');
    if (!ours[name] && !assets[first] && aliases[first] && aliases[first] !== first) {
        name = [aliases[first], ...rest].join('/');
    }
    if (ours[name]) {
        return ours[name];
    }
    name = name.replace(/^@oroinc\/bootstrap\//, 'bootstrap/');
    const bundle = name.split('/')[0];
    return assets[bundle] ? path.join(assets[bundle], name.slice(bundle.length + 1)) : name;
};

/** Resolves imports by Oro's rules. */
class OroModules {
    /** @param {import('webpack').Compiler} compiler */
    apply(compiler) {
        compiler.hooks.normalModuleFactory.tap('OroModules', (factory) => factory.hooks.beforeResolve.tap('OroModules', (data) => {
            if (data.request.startsWith('!!')) {
                return;
            }
            const issuer = data.contextInfo.issuer;
            const template = data.request.match(/^(?:tpl-loader|text-loader|text)!(.*)$/);
            data.request = template ? `!!${templateLoader}!${resolve(template[1], issuer)}` : resolve(data.request, issuer);
        }));
    }
}

const babel = {
    loader: 'babel-loader',
    options: {
        babelrc: false,
        configFile: false,
        compact: false,
        plugins: [
            locate('@babel/plugin-transform-modules-commonjs'),
            [locate('babel-plugin-add-module-exports'), { addDefaultProperty: true }],
        ],
    },
};

export default {
    context: here,
    mode: 'development',
    devtool: false,
    target: 'web',
    entry,
    performance: false,
    stats: 'errors-warnings',
    output: { path: OUTPUT, filename: `oro-${ORO}.js` },
    resolve: { modules: [packages], extensions: ['.js'] },
    resolveLoader: { modules: [packages] },
    plugins: [new OroModules(), new webpack.ProvidePlugin({ 'window.jQuery': 'jquery' })],
    module: {
        rules: [
            { test: /./, resolve: { fullySpecified: false } },
            { test: /\/Resources\/public\/.*\.js$/, exclude: /public\/lib\//, use: babel },
        ],
    },
};
