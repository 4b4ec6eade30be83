"""The checks of an installed application: users, console, message queue consumer and deployment."""

import filecmp
import json
import secrets
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

from processes import last_words, stop
from whole import PASSWORD, Browser, Whole

TAGS = "oro/data/update"
# Refused to everybody. Messages are answered in order, so its refusal shows that all earlier ones were answered.
NOBODYS_TOPIC = "oro/reminder_remind/2147483647"
# Saved entities: contacts if the application has them, otherwise business units.
CONTACT = {"route": "oro_contact_create", "view": "oro_contact_view", "field": "[firstName]", "type": "contacts", "attribute": "firstName"}
UNIT = {"route": "oro_business_unit_create", "view": "oro_business_unit_view", "field": "[name]", "type": "businessunits", "attribute": "name"}
# Imported entities: contacts, otherwise translations.
IMPORTS = {
    "contacts": ("Oro\\Bundle\\ContactBundle\\Entity\\Contact", "entity_import_from_csv", "oro_contact.add_or_replace", {},
                 "First name,Last name\n{name},Imported\n"),
    "businessunits": ("Oro\\Bundle\\TranslationBundle\\Entity\\Translation", "language_translations_import_from_csv",
                      "oro_translation_translation.add_or_replace", {"language_code": "en"},
                      "domain,key,value,english_translation,is_translated\nmessages,{name},Imported,,1\n"),
}
SECONDS = 120
UPDATE_SECONDS = 1800
ASSETS_SECONDS = 1800
FUNCTIONAL_TESTS = ("SyncBundle", "OrganizationBundle")


def run(report, work, original):
    """Runs all checks. An exception fails only its own check; without the bundle or the container the others are skipped."""
    application = Whole(work, original)
    application.copy()
    if not attempt(report, application, "Composer installs the bundle", composer):
        return
    if not attempt(report, application, "the container compiles", container):
        return
    attempt(report, application, "Oro's own assets are kept", assets)
    started = [application.serve(), application.web()]
    try:
        attempt(report, application, "orosync:migrate and orosync:topics:export", commands)
        people(report, application)
        attempt(report, application, "oro:platform:update ends", update)
    finally:
        for process in started:
            stop(process)
    attempt(report, application, "Oro's functional tests pass", functional_tests)
    attempt(report, application, "Oro's webpack builds", webpack)


def attempt(report, application, name, check, *arguments):
    """Runs one check, which returns (result, evidence); result None: it could not be run, for the reason in the evidence."""
    try:
        holds, evidence = check(application, *arguments)
    except Exception as e:
        holds, evidence = False, f"{type(e).__name__}: {e}"
    return report.add(name, application.name, holds, evidence)


def composer(application):
    """The two commands of docs/oro.md."""
    application.install()
    installed = application.directory / "vendor/orosync/orosync"
    return installed.is_dir(), f"vendor/orosync/orosync {'is a link to the clone' if installed.is_symlink() else 'is a copy'}"


def container(application):
    """The container compiles as in a deployment."""
    cleared = application.console("cache:clear")
    checker = application.console("debug:container", "oro_sync.client.connection_checker", "--format=json")
    ours = "OrosyncConnectionChecker" in checker.stdout
    if cleared.returncode:
        return False, last_words(cleared.stdout + cleared.stderr)
    return ours, f"the bundle's services are {'' if ours else 'not '}in place"


def assets(application):
    """The published assets of OroSyncBundle are its own files."""
    installed = application.console("assets:install", "public", "--symlink")
    theirs = application.directory / "vendor/oro/platform/src/Oro/Bundle/SyncBundle/Resources/public"
    public = application.directory / "public/bundles/orosync"
    files = [str(file.relative_to(theirs)) for file in theirs.rglob("*") if file.is_file()]
    same, _, _ = filecmp.cmpfiles(theirs, public, files, shallow=False)
    holds = installed.returncode == 0 and files and len(same) == len(files)
    return holds, f"{len(same)} of {len(files)} files of OroSyncBundle are in public/bundles/orosync"


def commands(application):
    """The two commands report on this application without changing it."""
    migrate, export = application.console("orosync:migrate"), application.console("orosync:topics:export")
    machine = migrate.stdout.partition("This machine")[2].partition("Parameters")[0].strip("- \n")
    return (migrate.returncode, export.returncode, machine) == (0, 0, "Extension, server and addresses are as they should be."), machine


def people(report, application):
    """Ann and Bob work in the back office at the same time; Ann has two browsers."""
    ann, bob = (f"{name}-{secrets.token_hex(4)}" for name in ("ann", "bob"))
    browsers = {}

    def log_in(_):
        for name in (ann, bob):
            application.user(name)
        for name, user in (("ann", ann), ("ann's other", ann), ("bob", bob)):
            browsers[name] = Browser(application)
            browsers[name].log_in(user)
        home = browsers["ann"].open(application.path("oro_default"))
        return home.status == 200 and ann in home.text, f"HTTP {home.status} {home.path}"

    if not attempt(report, application, "users log in", log_in):
        return
    attempt(report, application, "a ticket needs the CSRF header", tickets, browsers["ann"])
    sessions = {}

    def subscribe(_):
        for name, browser in browsers.items():
            sessions[name] = session(application, browser)
        return True, f"{len(sessions)} browsers are subscribed to {TAGS}"

    if not attempt(report, application, "pages subscribe", subscribe):
        return
    subject = CONTACT if application.path(CONTACT["route"]) else UNIT
    attempt(report, application, "a saved form notifies others", form, browsers, sessions["bob"], ann, subject)
    attempt(report, application, "a save by the API notifies others", api, browsers, sessions["bob"], ann, subject)
    attempt(report, application, "an import notifies others", imported, browsers["ann"], sessions["bob"], ann, subject)
    attempt(report, application, "a customer's logout ends no session of a user", customer)
    attempt(report, application, "a logout ends the user's sessions", logout, browsers, sessions)


def tickets(application, browser):
    """Oro's listener refuses ticket requests without the CSRF header."""
    refused = browser.script("POST", application.path("oro_sync_ticket"), with_header=False).status
    return refused == 403 and browser.ticket() != "", f"HTTP {refused} without the header, a ticket with it"


def session(application, browser):
    """Opens a session that is subscribed to the content tags."""
    it = application.connect(browser.ticket())
    if it.status != 101:
        raise RuntimeError(f"the handshake: HTTP {it.status}")
    it.send(5, TAGS)
    it.send(5, NOBODYS_TOPIC)
    answers = it.collect(10, until=refused)
    if not refused(answers) or any(json.loads(answer)[:2] == [4, TAGS] for answer in answers):
        raise RuntimeError(f"subscribing was answered: {answers}")
    return it


def announced(it, by, of=""):
    """Tags of the next message caused by a user that a session receives; `of`: only tags of this entity."""
    def tags(frames):
        return [tag["tagname"] for message in map(json.loads, (frame for frame in frames if isinstance(frame, str)))
                if message[:2] == [8, TAGS] for tag in message[2] if tag["username"] == by and of in tag["tagname"]]
    return tags(it.collect(SECONDS, until=tags))


def refused(frames):
    """Whether NOBODYS_TOPIC was refused last: earlier messages have arrived, and the session is open."""
    return bool(frames) and isinstance(frames[-1], str) and json.loads(frames[-1])[:2] == [4, NOBODYS_TOPIC]


def is_open(it):
    """Whether a session is open; discards its messages."""
    it.send(5, NOBODYS_TOPIC)
    return refused(it.collect(10, until=refused))


def list_path(application, kind):
    """The path of a type's list in the API."""
    return application.path("oro_rest_api_list").replace("{entity}", kind)


def found(application, browser, subject, name):
    """Whether the API returns an entity with this name to a browser."""
    query = {f"fields[{subject['type']}]": subject["attribute"], "sort": "-id", "page[size]": 20}
    path = f"{list_path(application, subject['type'])}?{urllib.parse.urlencode(query)}"
    answer = browser.script("GET", path)
    if answer.status != 200:
        raise RuntimeError(f"{path}: HTTP {answer.status} {answer.text[:200]}")
    return any(name == it["attributes"][subject["attribute"]] for it in answer.json()["data"])


def form(application, browsers, it, ann, subject):
    """Ann saves a form."""
    name = f"Form {secrets.token_hex(4)}"
    page = browsers["ann"].open(application.path(subject["route"]))
    fields = {subject["field"]: name, "input_action": json.dumps({"route": subject["view"], "params": {"id": "$id"}})}
    saved, evidence = while_waiting(application, browsers, it, ann, subject, name, lambda ann: ann.submit(page, subject["field"], fields))
    is_saved = saved.status == 200 and name in saved.text and saved.path != page.path
    return is_saved and evidence, f"HTTP {saved.status} {saved.path}{'' if is_saved else ', not saved'}; {evidence}"


def api(application, browsers, it, ann, subject):
    """A script of Ann's page saves by the API."""
    name = f"API {secrets.token_hex(4)}"
    data = {"type": subject["type"], "attributes": {subject["attribute"]: name}}
    path = list_path(application, subject["type"])
    saved, evidence = while_waiting(application, browsers, it, ann, subject, name, lambda ann: ann.script("POST", path, {"data": data}))
    return saved.status == 201 and evidence, f"POST {path}: HTTP {saved.status}; {evidence}"


def while_waiting(application, browsers, it, ann, subject, name, save):
    """Saves in Ann's browser while Bob's session waits: (response, evidence). The evidence is empty if Bob was not notified, or too early."""
    with ThreadPoolExecutor(1) as other:
        answer = other.submit(save, browsers["ann"])
        tags = announced(it, ann)
        is_stored = bool(tags) and found(application, browsers["bob"], subject, name)
        return answer.result(), f"{len(tags)} tags, and the database contains it" if is_stored else ""


def imported(application, browser, it, ann, subject):
    """Ann uploads a file; the consumer imports it and notifies Bob."""
    entity, job, processor, options, content = IMPORTS[subject["type"]]
    query = {"entity": entity, "importJob": job, "_widgetContainer": "dialog", "_wid": "import",
             **{f"options[{name}]": value for name, value in options.items()}}
    dialog = browser.open(f"{application.path('oro_importexport_import_form')}?{urllib.parse.urlencode(query)}")
    uploaded = browser.submit(dialog, "[file]", {"[processorAlias]": processor}, dialog.path,
                              ("[file]", "import.csv", content.format(name=f"imported.{secrets.token_hex(4)}")))
    if uploaded.status != 200 or not uploaded.json()["success"]:
        return False, f"the upload: HTTP {uploaded.status}{application.why(False)}"
    is_open(it)
    consumer = application.consume()
    try:
        tags = announced(it, ann, entity.replace("\\", "_"))
    finally:
        stop(consumer)
    return tags, f"{len(tags)} tags of {entity}"


def customer(application):
    """A storefront customer and a back office user have the same name; the customer logs out."""
    register = application.path("oro_customer_frontend_customer_user_register")
    if register is None:
        return None, "the application has no storefront"
    name = f"cy-{secrets.token_hex(4)}@example.com"
    application.user(name)
    office = Browser(application)
    office.log_in(name)
    it = session(application, office)
    application.console("oro:config:update", "oro_customer.confirmation_required", "0")
    shop = Browser(application)
    shop.submit(shop.open(register), "[plainPassword][first]", {"[email]": name, "[firstName]": "Cy", "[lastName]": "Test", "[companyName]": "Test",
                                                                "[plainPassword][first]": PASSWORD, "[plainPassword][second]": PASSWORD})
    home = shop.log_in(name, "oro_customer_customer_user_security_login", "oro_customer_customer_user_security_check")
    if home.status != 200 or "/login" in home.path:
        raise RuntimeError(f"the storefront's login: HTTP {home.status} {home.path}{application.why(False)}")
    before = application.disconnected()
    left = shop.request("GET", application.path("oro_customer_customer_user_security_logout"), follow=False)
    ended = application.disconnected(more_than=len(before))[len(before):]
    stays = is_open(it)
    return left.status == 302 and ended and stays, (f"HTTP {left.status}; the server was asked to end those of {', '.join(ended)}; "
                                                    f"the session of the back office {'is open' if stays else 'has ended'}")


def logout(application, browsers, sessions):
    """Ann logs out in one browser: all her sessions end, and her other browser, which is still logged in, reconnects. Bob's session stays."""
    left = browsers["ann"].request("GET", application.path("oro_user_security_logout"), follow=False)
    ended = [sessions[name].collect(30, until=lambda frames: frames and frames[-1][0] == "closed")[-1:] for name in ("ann", "ann's other")]
    again = browsers["ann"].script("POST", application.path("oro_sync_ticket")).status
    session(application, browsers["ann's other"])
    bob = is_open(sessions["bob"])
    # Without a Close frame: after one, Oro's JavaScript would not reconnect.
    holds = left.status == 302 and ended == [[("closed", None)]] * 2 and again != 200 and bob
    return holds, (f"HTTP {left.status}; her sessions ended as {ended}; a ticket then: HTTP {again}; her other browser reconnects; "
                   f"Bob's session {'is open' if bob else 'has ended'}")


def update(application):
    """The update command of a deployment."""
    begun = time.monotonic()
    run = application.console("oro:platform:update", "--force", "--skip-download-translations", f"--timeout={UPDATE_SECONDS}", timeout=UPDATE_SECONDS)
    return run.returncode == 0, f"{time.monotonic() - begun:.0f} s; {last_words(run.stderr) if run.returncode else 'exit code 0'}"


def functional_tests(application):
    """Oro's own functional tests, if the application is also installed for the environment test."""
    if not (application.directory / "bin/phpunit").exists() or not list(application.directory.glob(".env-app.test*")):
        return None, "bin/phpunit or .env-app.test is missing: no packages for development, or no database for tests"
    cleared = application.console("cache:clear", env="test")
    if cleared.returncode:
        return False, last_words(cleared.stdout + cleared.stderr)
    summaries, holds = [], True
    for name in FUNCTIONAL_TESTS:
        run = application.run("bin/phpunit", f"vendor/oro/platform/src/Oro/Bundle/{name}/Tests/Functional", timeout=900)
        holds = holds and run.returncode == 0
        summaries.append(f"{name}: " + " ".join(line for line in run.stdout.splitlines() if line.startswith(("OK", "Tests:", "There w"))))
    return holds, "; ".join(summaries)


def webpack(application):
    """Oro's own build of its JavaScript and styles, with packages from npm."""
    missing = application.npm()
    if missing:
        return None, f"npm lacks: {', '.join(missing)}"
    run = application.console("oro:assets:build", "admin.oro", timeout=ASSETS_SECONDS)
    return run.returncode == 0, last_words(run.stdout + run.stderr)
