"""The checks of one Oro version with Oro's own kernel."""

import http.client
import json

import javascript
from kernel import Application, thrown
from processes import last_words, stop

# Topics of user 1 (admin), which are refused to user 2 (bob), and topics of everybody.
TOPICS = ("oro/data/update", "oro/maintenance", "oro/ping", "oro/email_event/1/3", "oro/email_event/1/*", "oro/attribute_import/1/5",
          "oro/imap_sync_fail/1", "oro/imap_sync_fail/*", "oro/reminder_remind/1", "oro/message_queue_heartbeat", "oro/outdated_user_page")
OF_ADMIN = {topic for topic in TOPICS if "/1" in topic}
# Refused to everybody. Messages are answered in order, so its refusal shows that all earlier ones were answered.
NOBODYS_TOPIC = "oro/reminder_remind/99"
# The last message of each step, on oro/outdated_user_page: when it arrives, all others have arrived.
END = {"role": "end"}
MODULES = ("sync.js", "sync/wamp.js", "content-manager.js")


def run(report, work, checkouts, version):
    """Runs all checks, each with its own application."""
    for check in (assets, container, logout, forms, functional_tests, same_as_before, live_messages, other_browser):
        application = Application(work, checkouts, version)
        try:
            check(report, application, checkouts)
        except Exception as e:
            report.add(f"{check.__name__.replace('_', ' ')}: interrupted", version, False, f"{type(e).__name__}: {e}")


def assets(report, application, checkouts):
    """After assets:install, Oro's build still finds Oro's JavaScript."""
    installed = application.console("assets:install", "public", "--symlink")
    public = application.directory / "public/bundles/orosync"
    present = [module for module in MODULES if (public / "js" / module).is_file()]
    errors = javascript.bundle(application.work, checkouts, application.version, public=public)
    report.add("Oro's own assets are kept", application.version, installed.returncode == 0 and len(present) == len(MODULES) and not errors,
               last_words(installed.stderr) if installed.returncode else
               f"{len(present)} of {len(MODULES)} modules are in public/bundles/orosync; webpack did not find {errors.count('Module not found')}")


def container(report, application, checkouts):
    """The kernel boots, including Oro's compiler pass that loads the class of every service, and issues tickets."""
    boot = application.step("boot")
    report.add("the container compiles", application.version, not thrown(boot), thrown(boot) or boot["oro_sync.client.connection_checker"])
    tickets = application.step("tickets")
    report.add("Oro's controller issues tickets", application.version, not thrown(tickets), thrown(tickets) or ", ".join(tickets))


def logout(report, application, checkouts):
    """A user can log out."""
    web = application.web()
    try:
        status = get(application, "/logout", "user=bob")
    finally:
        stop(web)
    report.add("a logout works", application.version, status == 302, f"HTTP {status} {application.last_critical()}")


def get(application, path, cookie):
    """The status of a response, without following redirects."""
    connection = http.client.HTTPConnection("127.0.0.1", application.web_port, timeout=60)
    connection.request("GET", path, headers={"Cookie": cookie})
    return connection.getresponse().status


def forms(report, application, checkouts):
    """Oro's forms save within a transaction."""
    for step, check in (("form", "a form saves"), ("formAfterAnotherConnection", "a form saves after another connection was used")):
        saved = application.step(step)
        report.add(check, application.version, not thrown(saved), thrown(saved) or saved["connection"])


def functional_tests(report, application, checkouts):
    """In the environment "test", Oro's own factory creates the connections."""
    connections = application.step("testEnvironment")
    report.add("functional tests have connections", application.version, not thrown(connections), thrown(connections) or ", ".join(connections))


def sessions(application):
    """Opens sessions of admin and bob, and subscribes both to all of admin's topics. Returns the sessions and their answers."""
    tickets = application.step("tickets")
    if thrown(tickets):
        raise RuntimeError(thrown(tickets))
    both = [application.connect(tickets[name]) for name in ("admin", "bob")]
    for session in both:
        session.welcome = session.collect(5, until=len)
        for topic in (*TOPICS, NOBODYS_TOPIC):
            session.send(5, topic)
    return both, [session.collect(10, until=lambda frames: NOBODYS_TOPIC in refused(frames)) for session in both]


def refused(frames):
    """The topics whose subscription was refused."""
    return {json.loads(frame)[1] for frame in frames if frame[0:3] == "[4,"}


def messages(frames):
    """Topic and payload of each message."""
    return [json.loads(frame)[1:3] for frame in frames if frame[0:3] == "[8,"]


def until_end(frames):
    """Whether the last message has arrived, or the session has ended."""
    return bool(frames) and (frames[-1][0] == "closed" or messages(frames[-1:]) == [["oro/outdated_user_page", END]])


def comparable(frame):
    """A frame's JSON in a canonical form: Oro's client escapes differently and encodes a PHP list with a gap as an object, as documented."""
    def listed(value):
        return list(value.values()) if value and all(key.isdigit() for key in value) else value
    return json.dumps(json.loads(frame, object_hook=listed), sort_keys=True)


def same_as_before(report, application, checkouts):
    """Oro's publishers of nine topics: frames and return values are the same as with Oro's own server and client."""
    version, seen = application.version, {}
    without = Application(application.work, checkouts, version, with_bundle=False)
    for which, it in (("with", application), ("without", without)):
        server = it.serve()
        try:
            (admin, bob), answers = sessions(it)
            seen[which] = {"returned": it.step("publish"), "answers": answers, "welcome": admin.welcome,
                           "admin": admin.collect(10, until_end), "bob": bob.collect(10, until_end)}
        finally:
            stop(server)
    new, old = seen["with"], seen["without"]
    welcome = json.loads(new["welcome"][0])
    report.add("a session opens", version, (welcome[0], welcome[2]) == (0, 1), new["welcome"])
    admins, bobs = ({topic for topic, _ in messages(new[who])} for who in ("admin", "bob"))
    of_admin, of_bob = (refused(answers) - {NOBODYS_TOPIC} for answers in new["answers"])
    report.add("a user receives permitted topics", version, not of_admin and len(admins) == 9 and not thrown(new["returned"]),
               thrown(new["returned"]) or f"messages of {len(admins)} topics; refused: {sorted(of_admin)}")
    report.add("topics of other users are refused", version, of_bob == OF_ADMIN and not bobs & OF_ADMIN, f"{len(of_bob)} of {len(OF_ADMIN)} refused")
    different = [pair for who in ("admin", "bob") for pair in zip(sorted(map(comparable, old[who])), sorted(map(comparable, new[who])))
                 if pair[0] != pair[1]]
    counts = [[len(which[who]) for who in ("admin", "bob")] for which in (old, new)]
    report.add("browsers receive the same as from Oro's server", version, old["admin"] and counts[0] == counts[1] and not different,
               different or f"admin {counts[1][0]}, bob {counts[1][1]} messages")
    returned = {call: (old["returned"].get(call), value) for call, value in new["returned"].items() if old["returned"].get(call) != value}
    report.add("publishing returns the same as Oro's client", version, not returned, returned or f"{len(new['returned'])} calls")


def live_messages(report, application, checkouts):
    """Messages of transactions and of maintenance, a customer's logout, and the bundle's commands."""
    version = application.version
    server = application.serve()
    try:
        (admin, bob), _ = sessions(application)
        done = application.step("transactions")
        order = ["tags" if topic == "oro/data/update" else payload["role"] for topic, payload in messages(admin.collect(10, until_end))]
        wanted = ["flush", "tags", "flushed", "before commit", "tags", "after commit", "before rollBack", "after rollBack", "end"]
        report.add("tags are published after the commit", version, order == wanted and not thrown(done), f"{thrown(done) or ''} {order}")
        bob.collect(10, until_end)
        for command, on in (("oro:maintenance:lock", True), ("oro:maintenance:unlock", False)):
            ran = application.console(command, "-n")
            got = messages(bob.collect(5, until=len))
            report.add(f"{command} reaches pages", version, ran.returncode == 0 and [(t, p["isOn"]) for t, p in got] == [("oro/maintenance", on)],
                       got or last_words(ran.stdout + ran.stderr))
        customers_logout(report, application, admin)
        export = application.console("orosync:topics:export")
        are_reported = all(name in export.stderr for name in ("acme.news", "ChatTopic::onPublish"))
        report.add("orosync:topics:export", version, "acme/inbox/{user_id:int}" in export.stdout and are_reported, last_words(export.stderr))
        migrate = application.console("orosync:migrate")
        report.add("orosync:migrate", version, "acme/chat" in migrate.stdout + migrate.stderr, f"exit code {migrate.returncode}")
    finally:
        stop(server)


def customers_logout(report, application, admin):
    """The logout of a storefront customer ends no session of the back office user with the same name."""
    ticket = application.step("customerTicket")
    if thrown(ticket):
        report.add("a customer's logout ends no session of a user", application.version, False, thrown(ticket))
        return
    customer = application.connect(ticket["ticket"])
    customer.collect(5, until=len)
    done = application.step("customerLogout")
    ended = customer.collect(10, until=lambda frames: False)
    others = admin.collect(10, until_end)
    report.add("a customer's logout ends no session of a user", application.version,
               not thrown(done) and ended[-1:] and ended[-1][0] == "closed" and others[-1:] and others[-1][0] != "closed",
               thrown(done) or f"the customer's session: {ended[-1:] or 'continues'}; the back office user's: {others[-1:]}")


def other_browser(report, application, checkouts):
    """One user in two browsers, with Oro's own JavaScript: after a logout in one, the other reconnects."""
    errors = javascript.bundle(application.work, checkouts, application.version)
    if errors:
        report.add("the other browser reconnects", application.version, False, last_words(errors))
        return
    started = []
    try:
        started += [application.serve(), application.web()]
        javascript.browse(report, application.work, checkouts, "logout", application.version, f"http://127.0.0.1:{application.web_port}")
    finally:
        for process in started:
            stop(process)
