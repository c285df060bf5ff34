// Step 1, an echo: a client claims an id, sends a message to itself, and gets it back.
//
//     node 1-echo.mjs ws://127.0.0.1:8080/ws
//
// Or paste it into the console of sotto's page.

const url = globalThis.process?.argv[2] ?? `${location.origin.replace("http", "ws")}/ws`;
const socket = new WebSocket(url, "sotto.v1");
const me = `echo-${crypto.randomUUID()}`;

/** Says one line: a JSON object. */
const say = (line) => socket.send(JSON.stringify(line));

// The first line of a client claims an id.
socket.onopen = () => say({ type: "join", id: me });

// One text holds one line or more.
socket.onmessage = ({ data }) => {
	for (const text of data.split("\n")) hear(JSON.parse(text));
};

function hear(line) {
	if (line.type === "joined") {
		// `ref` names the request in its answer, `sent`.
		say({ type: "send", to: me, body: "hello", ref: crypto.randomUUID() });
	}
	if (line.type === "sent") console.log("taken");
	if (line.type === "message") {
		console.log("got:", line.body);
		socket.close(1000);
	}
	if (line.type === "error") console.error(line.text);
}
