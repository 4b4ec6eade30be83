"""A small application on Oro's kernel, with the bundle under test or with Oro's own server and client alone."""

import json
import shutil
import sqlite3
import subprocess
from pathlib import Path

from processes import free_ports, last_words, start
from roots import REPOSITORY, TARGET, Php
from websocket import WebSocket

HERE = Path(__file__).resolve().parent

# Bundles with priorities that give the order of an Oro application: OroSyncBundle (-246) configures Monolog.
BUNDLES = {
    "Symfony\\Bundle\\FrameworkBundle\\FrameworkBundle": -255,
    "Symfony\\Bundle\\SecurityBundle\\SecurityBundle": -254,
    "Symfony\\Bundle\\TwigBundle\\TwigBundle": -253,
    "Symfony\\Bundle\\MonologBundle\\MonologBundle": -240,
    "Doctrine\\Bundle\\DoctrineBundle\\DoctrineBundle": -230,
    "App\\PlatformBundle": -200,
}
ROUTES = {
    "oro_sync_ticket": "/sync/ticket, controller: 'Oro\\Bundle\\SyncBundle\\Controller\\TicketController::syncTicketAction'",
    "page": "/page, controller: 'App\\Pages::page'",
    "gone": "/gone, controller: 'App\\Pages::gone'",
    "logout": "/logout",
}
# The application's topics: one with a pattern, a secured one, and one with PHP code.
ACME_TOPICS = """
acme.news: { channel: 'acme/news/{language}', handler: { callback: acme.news }, requirements: { language: { pattern: '[a-z]{2}' } } }
acme.inbox: { channel: 'acme/inbox/{user_id}', handler: { callback: acme.inbox }, requirements: { user_id: { pattern: '\\d+' } } }
acme.chat: { channel: 'acme/chat/{room}', handler: { callback: acme.chat } }
"""
BUNDLES_WITH_TOPICS = ("Email", "EntityConfig", "Imap", "MessageQueue", "Reminder", "User")


class Application:
    """A new application in WORK/run, for one Oro version."""

    def __init__(self, work, checkouts, version, with_bundle=True):
        self.work, self.version, self.with_bundle = work, version, with_bundle
        self.directory = work / "run" / (version if with_bundle else f"{version}-without")
        self.port, self.admin_port, self.web_port = free_ports(3)
        self._php = Php(work, version)
        self._make(checkouts)

    def _make(self, checkouts):
        here, oro = self.directory, checkouts.path("oroinc/platform", self.version) / "src/Oro"
        shutil.rmtree(here, ignore_errors=True)
        shutil.copytree(HERE / "application", here)
        for name in ("var/sessions", "public", "src/App/Resources/config/oro", "vendor/oro/platform", "vendor/orosync/orosync"):
            (here / name).mkdir(parents=True)
        for name in ("Sync", "Maintenance", "Distribution"):
            (here / f"vendor/oro/platform/{name}Bundle").symlink_to(oro / f"Bundle/{name}Bundle")
        autoload = checkouts.autoload(self.version)
        autoload["namespaces"]["App\\"] = [str(here / "src/App")]
        if self.with_bundle:
            (here / "vendor/orosync/orosync/bundle").symlink_to(REPOSITORY / "bundle")
            autoload["namespaces"]["Orosync\\"] = [str(REPOSITORY / "bundle")]
        (here / "autoload.json").write_text(json.dumps(autoload))
        bundles = [f"    - {{ name: {name}, priority: {priority} }}\n" for name, priority in BUNDLES.items()]
        bundles.append("    - { name: App\\EntityBundle, priority: -70, kernel: true }\n")
        (here / "src/App/Resources/config/oro/bundles.yml").write_text("bundles:\n" + "".join(bundles))
        (here / "routing.yml").write_text("".join(f"{name}: {{ path: {route} }}\n" for name, route in ROUTES.items()))
        routing = "Resources/config/oro/websocket_routing.yml"
        topics = [(oro / f"Bundle/{name}Bundle" / routing).read_text() for name in BUNDLES_WITH_TOPICS]
        (here / "src/App" / routing).write_text("\n".join(topics) + ACME_TOPICS)
        with sqlite3.connect(here / "var/db.sqlite") as database:
            # Oro reads whether the application is installed, and when its own server was last seen.
            database.executescript("""
                create table contact (id integer primary key autoincrement, name varchar not null);
                create table oro_config_value (name varchar, section varchar, text_value varchar);
                insert into oro_config_value values ('is_installed', 'oro_distribution', '1');
                create table oro_sync_websocket_server_state (id varchar primary key, updated_at datetime);""")

    def _command(self, *arguments, **environment):
        return self._php.command(arguments, {
            "PATH": f"{TARGET}/release:/usr/local/bin:/usr/bin:/bin",
            "CHECK_PORT": self.port,
            "OROSYNC_ADMIN_BIND": f"127.0.0.1:{self.admin_port}",
            "ORO_JS": self.work / f"js/oro-{self.version}.js",
            **environment,
        }, self.directory, extension=self.with_bundle)

    def _run(self, *arguments):
        return subprocess.run(self._command(*arguments), cwd=self.directory, capture_output=True, text=True, timeout=300)

    def step(self, name):
        """Runs a step of App\\Steps. Returns {call: value}, with "!CLASS: MESSAGE" as the value of a call that threw."""
        run = self._run("drive.php", name)
        try:
            return json.loads(run.stdout.strip().splitlines()[-1])
        except (ValueError, IndexError):
            return {"boot": "!" + last_words(run.stdout + run.stderr)}

    def console(self, *arguments):
        """Runs a command of the application."""
        return self._run("console.php", *arguments)

    def serve(self):
        """Starts the server with the command that the supervisor of an Oro application runs."""
        return start(self._command("console.php", "gos:websocket:server"), self.port, self.directory / "server.log", cwd=self.directory)

    def web(self):
        """Starts PHP's web server for the application's pages."""
        command = self._command("-S", f"127.0.0.1:{self.web_port}", "-t", "public", "console.php", PHP_CLI_SERVER_WORKERS="3")
        return start(command, self.web_port, self.directory / "web.log", cwd=self.directory)

    def connect(self, ticket):
        """Opens a session at the server."""
        return WebSocket(self.port, ticket)

    def last_critical(self):
        """The last critical line of the application's log."""
        log = self.directory / "var/app.log"
        lines = [line for line in log.read_text().splitlines() if "CRITICAL" in line] if log.is_file() else []
        return lines[-1].partition("CRITICAL: ")[2] if lines else ""


def thrown(results):
    """The first call of a step that threw, as text; None if none did."""
    return next((f"{call}: {value[1:]}" for call, value in results.items() if str(value).startswith("!")), None)
