"""An installed OroPlatform application: a copy of its directory with the bundle installed."""

import html.parser
import http.client
import http.cookies
import json
import os
import re
import secrets
import shutil
import subprocess
import time
import urllib.parse
from pathlib import Path

from processes import free_ports, last_words, launch, start
from roots import REPOSITORY, TARGET
from websocket import WebSocket

# Directories that Oro recreates, or that belong to the original.
NOT_COPIED = ("cache", "logs", "sessions")
PASSWORD = "Orosync-2-passes"
JSON_API = "application/vnd.api+json"


class Whole:
    """The copy of an application in WORK/run. It uses the original's database."""

    def __init__(self, work, original):
        self.original = original
        lock = json.loads((original / "composer.lock").read_text())
        self.packages = {package["name"]: package for package in lock["packages"]}
        root = json.loads((original / "composer.json").read_text())
        self.name = f"{root.get('name', original.name).rpartition('/')[2]} {self.packages['oro/platform']['version']}"
        self.directory = work / "run" / f"whole-{original.name}"
        self.port, self.admin_port, self.web_port = free_ports(3)
        self.log = self.directory / "var/orosync"
        self._lock, self._routes = lock, None

    def copy(self):
        """Copies the original's directory."""
        shutil.rmtree(self.directory, ignore_errors=True)
        shutil.copytree(self.original, self.directory, symlinks=True, ignore=self._left_out)
        self.log.mkdir(parents=True)

    def _left_out(self, directory, names):
        return [name for name in names if Path(directory) == self.original / "var" and name in NOT_COPIED]

    def install(self):
        """Installs the bundle with Composer as in docs/oro.md, from the packages present; nothing is downloaded."""
        packages = self.log / "packages.json"
        known = {}
        for package in [*self._lock["packages"], *self._lock["packages-dev"]]:
            known.setdefault(package["name"], {})[package["version"]] = package
        packages.write_text(json.dumps({"packages": known}))
        settings = json.loads((self.directory / "composer.json").read_text())
        settings["repositories"] = {"installed": {"type": "composer", "url": f"file://{packages}"}, "packagist.org": False}
        (self.directory / "composer.json").write_text(json.dumps(settings))
        environment = {"PATH": os.environ["PATH"], "HOME": self.log, "COMPOSER_ALLOW_SUPERUSER": "1", "COMPOSER_DISABLE_NETWORK": "1"}
        has_dev = json.loads((self.directory / "vendor/composer/installed.json").read_text())["dev"]
        for command in (["config", "repositories.orosync", "path", REPOSITORY],
                        ["require", "orosync/orosync:@dev", "--no-scripts", "--no-plugins", *([] if has_dev else ["--update-no-dev"])]):
            run = subprocess.run(["composer", "--no-interaction", *command], cwd=self.directory, env=environment, capture_output=True, text=True,
                                 timeout=600)
            self._note(command, run)
            if run.returncode:
                problem = re.search(r"^ +- (.*)$", run.stderr, re.MULTILINE)
                raise RuntimeError(problem[1] if problem else last_words(run.stderr))

    def command(self, *arguments):
        """The command line of PHP with the extension and the addresses of this run."""
        addresses = {
            "ORO_WEBSOCKET_SERVER_DSN": f"//127.0.0.1:{self.port}",
            "ORO_WEBSOCKET_FRONTEND_DSN": f"//*:{self.port}/ws",
            "ORO_WEBSOCKET_BACKEND_DSN": f"tcp://127.0.0.1:{self.port}",
            "OROSYNC_ADMIN_BIND": f"127.0.0.1:{self.admin_port}",
            "PATH": f"{TARGET}/release:{os.environ['PATH']}",
        }
        # In a php.ini, so that child processes load it too. With PHP's web server Symfony reads the environment only with E.
        (self.log / "orosync.ini").write_text(f"extension={TARGET}/release/liborosync.so\nmemory_limit=3G\nvariables_order=EGPCS\n")
        variables = {"PHP_INI_SCAN_DIR": f":{self.log}", **addresses}
        return ["env", f"--chdir={self.directory}", *(f"{name}={value}" for name, value in variables.items()), "php", *arguments]

    def run(self, *arguments, timeout=600):
        """Runs a PHP program; its output is also in var/orosync/commands.log. Raises TimeoutError."""
        try:
            run = subprocess.run(self.command(*arguments), capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired as e:
            error = last_words((e.stdout or b"").decode(errors="replace"))
            raise TimeoutError(f"{' '.join(map(str, arguments[:2]))} has not ended after {timeout} s: {error}") from e
        self._note(arguments, run)
        return run

    def _note(self, arguments, run):
        with open(self.log / "commands.log", "a") as log:
            log.write(f"$ {' '.join(map(str, arguments))}\n{run.stdout}{run.stderr}[exit code {run.returncode}]\n")

    def console(self, *arguments, env="prod", timeout=600):
        """Runs a command of the application."""
        return self.run("bin/console", *arguments, f"--env={env}", "--no-interaction", timeout=timeout)

    def ask(self, what, rest):
        """The first value of a query. Markers around it find it in both output formats of DBAL."""
        run = self.console("dbal:run-sql", "--force-fetch", f"select concat('[[', {what}, ']]') as found {rest} limit 1")
        found = re.search(r"\[\[(.*?)\]\]", run.stdout)
        if not found:
            raise LookupError(last_words(run.stdout + run.stderr))
        return found[1]

    def path(self, route):
        """The path of a route of the application; None if it does not exist."""
        if self._routes is None:
            run = self.console("debug:router", "--format=json")
            self._routes = {name: it["path"] for name, it in json.loads(run.stdout[run.stdout.index("{"):]).items()}
        return self._routes.get(route)

    def user(self, name):
        """Creates an administrator of the application."""
        email = name if "@" in name else f"{name}@example.com"
        run = self.console("oro:user:create", f"--user-name={name}", f"--user-email={email}", "--user-firstname=Orosync", "--user-lastname=Test",
                           f"--user-password={PASSWORD}", "--user-role=ROLE_ADMINISTRATOR",
                           f"--user-business-unit={self.ask('name', 'from oro_business_unit order by id')}",
                           f"--user-organizations={self.ask('name', 'from oro_organization order by id')}")
        if run.returncode:
            raise RuntimeError(last_words(run.stdout + run.stderr))

    def serve(self):
        """Starts the server with the command of the application's supervisor."""
        return start(self.command("bin/console", "gos:websocket:server", "--env=prod"), self.port, self.log / "server.log")

    def web(self):
        """Starts PHP's web server on the application's front controller."""
        return start(["env", "PHP_CLI_SERVER_WORKERS=4", *self.command("-S", f"127.0.0.1:{self.web_port}", "-t", "public")],
                     self.web_port, self.log / "web.log")

    def consume(self):
        """Starts the consumer of the message queue, and restarts it like a supervisor when it ends after a change of caches."""
        consumer = self.command("bin/console", "oro:message-queue:consume", "--env=prod", "--memory-limit=2000")
        return launch(["sh", "-c", 'while :; do "$@"; sleep 1; done', "supervisor", *consumer], self.log / "consumer.log")

    def connect(self, ticket):
        """Opens a session at the server."""
        return WebSocket(self.port, ticket)

    def disconnected(self, more_than=-1):
        """Users of the disconnects that the server has received. Waits until there are more than `more_than`."""
        deadline = time.monotonic() + 30
        while True:
            lines = [json.loads(line) for line in (self.log / "server.log").read_text().splitlines() if "at the request of a publisher" in line]
            if len(lines) > more_than or time.monotonic() > deadline:
                return [line["identity"] for line in lines]
            time.sleep(0.05)

    def npm(self):
        """Installs the packages of Oro's build with npm. Returns packages of @oroinc missing on npm; raises RuntimeError on other errors."""
        if (self.directory / "node_modules/@oroinc").is_dir():
            return []
        run = subprocess.run(["npm", "ci", "--ignore-scripts"], cwd=self.directory, capture_output=True, text=True, timeout=900)
        self._note(["npm", "ci"], run)
        if run.returncode == 0:
            return []
        pinned = json.loads((self.directory / "package-lock.json").read_text())["packages"]
        oros = [f"{path.removeprefix('node_modules/')}@{it['version']}" for path, it in pinned.items() if path.startswith("node_modules/@oroinc/")]
        missing = [it for it in oros if not subprocess.run(["npm", "view", it, "version"], capture_output=True, text=True).stdout.strip()]
        if not missing:
            raise RuntimeError(f"npm ci: {last_words(run.stderr)}")
        return missing

    def why(self, holds):
        """The last critical line of the application's log; empty if the check holds."""
        logs = [] if holds else (self.directory / "var/logs").glob("prod*.log")
        lines = [line for log in logs for line in log.read_text(errors="replace").splitlines() if ".CRITICAL:" in line]
        return f"; {lines[-1].partition('CRITICAL: ')[2][:300]}" if lines else ""


class Forms(html.parser.HTMLParser):
    """The forms of a page, with the fields that a browser would send: [{"action": ..., "fields": [(name, value), ...], "files": [name, ...]}]."""

    def __init__(self, text):
        super().__init__()
        self.forms, self._select, self._textarea = [], None, None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        """A form, or a field of the last one."""
        it = dict(attributes)
        if tag == "form":
            self.forms.append({"action": it.get("action") or "", "fields": [], "files": []})
        if not self.forms:
            return
        fields = self.forms[-1]["fields"]
        if tag == "input" and it.get("name") and it.get("type") == "file":
            self.forms[-1]["files"].append(it["name"])
        elif tag == "input" and it.get("name") and it.get("type") not in ("submit", "button", "image"):
            if it.get("type") not in ("checkbox", "radio") or "checked" in it:
                fields.append((it["name"], it.get("value") or ("on" if it.get("type") == "checkbox" else "")))
        elif tag == "select" and it.get("name"):
            self._select = it["name"]
        elif tag == "option" and self._select and "selected" in it:
            fields.append((self._select, it.get("value") or ""))
        elif tag == "textarea" and it.get("name"):
            self._textarea = len(fields)
            fields.append((it["name"], ""))

    def handle_data(self, data):
        """The text of a text area."""
        if self._textarea is not None:
            fields = self.forms[-1]["fields"]
            fields[self._textarea] = (fields[self._textarea][0], fields[self._textarea][1] + data)

    def handle_endtag(self, tag):
        """The end of a field."""
        if tag == "select":
            self._select = None
        elif tag == "textarea":
            self._textarea = None


class Answer:
    """A response of the application."""

    def __init__(self, status, headers, text, path):
        self.status, self.location, self.text, self.path = status, headers.get("Location"), text, path

    def json(self):
        """Its JSON."""
        return json.loads(self.text)

    def form(self, with_field):
        """The form with a field whose name ends like this."""
        for form in Forms(self.text).forms:
            if any(name.endswith(with_field) for name in [*dict(form["fields"]), *form["files"]]):
                return form
        raise LookupError(f"{self.path}: HTTP {self.status}, without a form that has {with_field}")


class Browser:
    """The browser of one user: cookies, forms and redirects."""

    def __init__(self, application):
        self.application, self.cookies = application, {}

    def request(self, method, path, body=None, follow=True, headers=None):
        """Sends a request with the CSRF header of a page's JavaScript; follows redirects by default."""
        connection = http.client.HTTPConnection("127.0.0.1", self.application.web_port, timeout=300)
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        token = next((value for name, value in self.cookies.items() if re.fullmatch(r"(https-)?_csrf", name)), "")
        connection.request(method, path, body, {"Cookie": cookies, "X-CSRF-Header": token, **(headers or {})})
        response = connection.getresponse()
        text = response.read().decode(errors="replace")
        for line in response.headers.get_all("Set-Cookie") or []:
            for name, morsel in http.cookies.SimpleCookie(line).items():
                self.cookies[name] = morsel.value
        answer = Answer(response.status, response.headers, text, path)
        if follow and answer.location and response.status in (301, 302, 303):
            there = urllib.parse.urlsplit(answer.location)
            return self.request("GET", urllib.parse.urlunsplit(("", "", there.path or "/", there.query, "")))
        return answer

    def open(self, path):
        """Opens a page and follows redirects."""
        return self.request("GET", path)

    def submit(self, page, with_field, values, action=None, file=None):
        """Submits a form, with a file as (field name, file name, content). Field names may be given by their end."""
        form = page.form(with_field)
        names = [name for name, _ in form["fields"]]
        filled = {next((name for name in names if name.endswith(end)), end): value for end, value in values.items()}
        fields = [(name, filled.get(name, value)) for name, value in form["fields"]]
        fields += [(name, value) for name, value in filled.items() if name not in names]
        target = urllib.parse.urlsplit(action or form["action"] or page.path)
        path = urllib.parse.urlunsplit(("", "", target.path, target.query, ""))
        if file is None:
            return self.request("POST", path, urllib.parse.urlencode(fields), headers={"Content-Type": "application/x-www-form-urlencoded"})
        boundary, (end, file_name, content) = secrets.token_hex(16), file
        parts = [f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}' for name, value in fields]
        name = next(name for name in form["files"] if name.endswith(end))
        parts.append(f'Content-Disposition: form-data; name="{name}"; filename="{file_name}"\r\nContent-Type: text/csv\r\n\r\n{content}')
        body = "".join(f"--{boundary}\r\n{part}\r\n" for part in parts) + f"--{boundary}--\r\n"
        return self.request("POST", path, body.encode(), headers={"Content-Type": f"multipart/form-data; boundary={boundary}"})

    def log_in(self, name, login="oro_user_security_login", check="oro_user_security_check"):
        """Logs a user in with the form. Returns the page after it."""
        return self.submit(self.open(self.application.path(login)), "_username", {"_username": name, "_password": PASSWORD},
                           self.application.path(check))

    def script(self, method, path, body=None, with_header=True):
        """A request of a script, with the CSRF header, or without it like one from another site."""
        headers = {"X-Requested-With": "XMLHttpRequest", "Content-Type": JSON_API, "Accept": JSON_API}
        if not with_header:
            headers["X-CSRF-Header"] = ""
        return self.request(method, path, None if body is None else json.dumps(body), False, headers)

    def ticket(self):
        """A ticket from the ticket endpoint."""
        answer = self.script("POST", self.application.path("oro_sync_ticket"))
        if answer.status != 200:
            raise RuntimeError(f"{answer.path}: HTTP {answer.status}{self.application.why(False)}")
        return answer.json()["ticket"]
