//! Checks each code block with the best available parser of its language.

use std::process::Command;

use orosync_tests::SECRET;

use crate::markdown::{Block, repository};
use crate::reverse_proxies;
use crate::sandbox::{Sandbox, as_php, extension_setting, run};
use crate::scale;

/// Checks that names exist and values are valid.
const PHP_INI: &str = r#"
    $settings = parse_ini_string(stream_get_contents(STDIN), false, INI_SCANNER_RAW);
    foreach (array_diff(preg_grep('/^orosync/', array_keys($settings)), array_keys(ini_get_all('orosync'))) as $name) {
        exit("There is no setting $name." . PHP_EOL . trigger_error($name, E_USER_ERROR));
    }
    orosync_status();
"#;

/// Checks the syntax, and the bundle's keys with its configuration tree.
const YAML: &str = r"
    foreach (['Yaml', 'Config', 'DependencyInjection', 'HttpKernel'] as $component) {
        require_once '/usr/share/php/Symfony/Component/' . $component . '/autoload.php';
    }
    spl_autoload_register(static fn (string $class) => require $argv[1] . '/bundle/' . strtr(substr($class, 8), '\\', '/') . '.php');
    $yaml = Symfony\Component\Yaml\Yaml::parse(stream_get_contents(STDIN), Symfony\Component\Yaml\Yaml::PARSE_CUSTOM_TAGS);
    if (isset($yaml['orosync']) && !isset($yaml['orosync']['resource'])) {
        $tree = new Orosync\DependencyInjection\Configuration();
        (new Symfony\Component\Config\Definition\Processor())->processConfiguration($tree, [$yaml['orosync']]);
    }
";

/// Checks the syntax, and that the bundle defines the functions.
const TWIG: &str = r"
    require_once '/usr/share/php/Twig/autoload.php';
    require_once $argv[1] . '/bundle/Twig/OrosyncExtension.php';
    $twig = new Twig\Environment(new Twig\Loader\ArrayLoader());
    $twig->addExtension(new Orosync\Twig\OrosyncExtension());
    $twig->parse($twig->tokenize(new Twig\Source(stream_get_contents(STDIN), 'block')));
";

/// Checks a block and returns its errors.
pub(crate) fn check(block: &Block, sandbox: &Sandbox) -> Result<(), String> {
    let text = sandbox.translate(&block.text);
    match block.language.as_str() {
        "sh" => run(Command::new("bash").arg("-n"), &text).map(drop),
        "php" => run(Command::new("php").args(["-n", "-l"]), &as_php(&text)).map(drop),
        "toml" => check_toml(&text, sandbox),
        "ini" => check_ini(&text, sandbox),
        "nginx" | "apache" | "haproxy" | "caddy" => reverse_proxies::check(block, sandbox),
        "redis" | "redis-cli" => {
            scale::check(block);
            Ok(())
        }
        "dockerfile" => check_dockerfile(&text),
        "yaml" => run_php(YAML, &text),
        "twig" => run_php(TWIG, &text).and_then(|()| check_scripts(&text, sandbox)),
        "html" => check_scripts(&text, sandbox),
        "js" => check_javascript(&text, sandbox),
        "mermaid" if ["flowchart ", "sequenceDiagram\n"].iter().any(|kind| text.starts_with(kind)) => Ok(()),
        "text" if matches!(block.marker.as_str(), "output" | "wamp" | "link") => Ok(()),
        other => Err(format!("no check exists for blocks of \"{other} {}\"", block.marker)),
    }
}

/// Checks the instructions; `make test-deploy` runs their commands.
fn check_dockerfile(text: &str) -> Result<(), String> {
    let known = ["FROM", "RUN", "COPY", "WORKDIR", "USER", "ENTRYPOINT", "CMD", "#"];
    let instruction = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
    let unknown = text.lines().filter(|line| !line.is_empty()).map(instruction);
    let unknown: Vec<String> = unknown.filter(|word| !known.contains(&word.as_str())).collect();
    if unknown.is_empty() { Ok(()) } else { Err(format!("unknown instructions: {unknown:?}")) }
}

/// Checks that commands and flags in calls of the server exist.
pub(crate) fn check_server_calls(block: &Block, sandbox: &Sandbox) -> Result<(), String> {
    if block.language == "dockerfile" {
        return Ok(());
    }
    for line in block.text.lines() {
        let line = line.split(" #").next().unwrap_or(line);
        for call in line.split("orosync-server ").skip(1) {
            let call = call.split(['|', ';', '&']).next().unwrap_or(call);
            let command = call.split(' ').find(|word| !word.starts_with('-')).unwrap_or_default();
            let help = run(sandbox.command("orosync-server").args([command, "--help"]), "")?;
            let known: Vec<&str> = help.split_whitespace().collect();
            if let Some(flag) = call.split(' ').find(|word| word.starts_with("--") && !known.contains(word)) {
                return Err(format!("orosync-server {command} has no flag {flag}"));
            }
        }
    }
    Ok(())
}

/// Checks the block as a complete configuration; a secret is added if it has none.
fn check_toml(text: &str, sandbox: &Sandbox) -> Result<(), String> {
    let file = sandbox.write("orosync.toml", text);
    let mut command = sandbox.command("orosync-server");
    command.args(["check-config", "--config"]).arg(file);
    command
        .env_remove("OROSYNC_BIND")
        .env_remove("OROSYNC_ADMIN_BIND")
        .env_remove("OROSYNC_AUTH__SECRET_FILE");
    if !text.contains("secret_file") {
        command.env("OROSYNC_AUTH__SECRET", SECRET);
    }
    run(&mut command, "").map(drop)
}

/// Checks the syntax, and the extension's settings of a php.ini.
fn check_ini(text: &str, sandbox: &Sandbox) -> Result<(), String> {
    run_php(
        "exit(parse_ini_string(stream_get_contents(STDIN), true, INI_SCANNER_RAW) === false ? 1 : 0);",
        text,
    )?;
    if !text.lines().any(|line| line.starts_with("orosync.")) {
        return Ok(());
    }
    let settings: Vec<&str> = text.lines().filter(|line| !line.starts_with("extension ")).collect();
    let file = sandbox.write("php.ini", &settings.join("\n"));
    let mut command = Command::new("php");
    command.env("PHP_INI_SCAN_DIR", "").env("OROSYNC_AUTH__SECRET", SECRET).arg("-c").arg(file);
    command.args(["-d", &extension_setting(), "-d", "display_errors=stderr", "-r", PHP_INI]);
    run(&mut command, text).map(drop)
}

fn check_scripts(html: &str, sandbox: &Sandbox) -> Result<(), String> {
    for script in html.split("<script type=\"module\">").skip(1) {
        let (script, _) = script.split_once("</script>").ok_or("a script does not end")?;
        check_javascript(script, sandbox)?;
    }
    Ok(())
}

/// Stubs of the browser API for a module that defines an element.
const ELEMENTS: &str = "data:text/javascript,globalThis.HTMLElement = class {}; globalThis.customElements = new Map(); \
    globalThis.customElements.define = globalThis.customElements.set;";

/// The modules of the browser client, by the names that pages and bundlers use.
const MODULES: [(&str, &[&str]); 2] = [
    ("index.js", &["'/orosync/index.js'", "'/bundles/orosynclive/index.js'", "'@orosync/client'"]),
    ("page.js", &["'/orosync/page.js'", "'/bundles/orosynclive/page.js'", "'@orosync/client/page'"]),
];

/// Checks the syntax, and that the browser client exports what is imported from it.
fn check_javascript(text: &str, sandbox: &Sandbox) -> Result<(), String> {
    let file = sandbox.write("script.mjs", text);
    run(Command::new("node").arg("--check").arg(file), "")?;
    let client = repository().join("js/src").canonicalize().map_err(|error| error.to_string())?;
    let names = MODULES.iter().flat_map(|(module, names)| names.iter().map(move |name| (module, name)));
    let imports: String = text
        .split_inclusive(';')
        .filter(|statement| statement.trim_start().starts_with("import "))
        .map(|statement| {
            names.clone().fold(statement.to_owned(), |statement, (module, name)| {
                statement.replace(name, &format!("'{}'", client.join(module).display()))
            })
        })
        .collect();
    let file = sandbox.write("imports.mjs", &imports);
    run(Command::new("node").args(["--import", ELEMENTS]).arg(file), "").map(drop)
}

/// Runs a checker in PHP, with the repository as its argument and the text on standard input.
fn run_php(checker: &str, text: &str) -> Result<(), String> {
    let settings = ["-d", "display_errors=stderr", "-d", "error_reporting=24575"];
    run(Command::new("php").args(settings).args(["-r", checker, "--"]).arg(repository()), text).map(drop)
}
