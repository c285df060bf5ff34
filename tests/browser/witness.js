// Runs before the page's own scripts. It keeps the errors of a page for engines whose driver does
// not tell them, and gives the page a clock that a test can turn ahead. Both are in the session
// storage of the tab, where a reload leaves them alone.
{
	const ERRORS = "test errors";
	const AHEAD_MS = "test clock";

	const keep = (...parts) => {
		const errors = JSON.parse(sessionStorage.getItem(ERRORS) ?? "[]");
		sessionStorage.setItem(ERRORS, JSON.stringify([...errors, parts.map(String).join(" ")]));
	};
	const { error } = console;
	console.error = (...parts) => {
		keep(...parts);
		error.apply(console, parts);
	};
	addEventListener("error", ({ message, filename, lineno, target }) => {
		keep(message ?? `not loaded: ${target.src ?? target.href}`, filename, lineno);
	}, true);
	addEventListener("unhandledrejection", ({ reason }) => keep("unhandled", reason, reason?.stack));
	addEventListener("securitypolicyviolation", (event) => {
		keep(event.violatedDirective, event.blockedURI, event.sourceFile, event.lineNumber);
	});

	const Clock = Date;
	const now = () => Clock.now() + Number(sessionStorage.getItem(AHEAD_MS));
	globalThis.Date = class Date extends Clock {
		constructor(...time) {
			super(...(time.length ? time : [now()]));
		}

		static now() {
			return now();
		}
	};
}
