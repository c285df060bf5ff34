// Step 2, ids: a message goes to the client that has the id, or its sender learns that it does not.
//
//     node 2-ids.mjs ws://127.0.0.1:8080/ws

const url = globalThis.process?.argv[2] ?? `${location.origin.replace("http", "ws")}/ws`;
const run = crypto.randomUUID().slice(0, 8);
const [alice, bob] = [`alice-${run}`, `bob-${run}`];

/** Joins with an id. Returns a function that says a line. */
function join(id, hear) {
	const socket = new WebSocket(url, "sotto.v1");
	const say = (line) => socket.send(JSON.stringify(line));
	socket.onopen = () => say({ type: "join", id });
	socket.onmessage = ({ data }) => {
		for (const text of data.split("\n")) hear(JSON.parse(text));
	};
	return { say, close: () => socket.close(1000) };
}

const first = join(bob, (line) => {
	// Bob is there, so alice may come.
	if (line.type === "joined") second = join(alice, hearAsAlice);
	if (line.type === "message") {
		console.log("bob got:", line.body);
		// The id of the sender is in each message, so an answer needs no more.
		first.say({ type: "send", to: line.from, body: `${line.body} to you` });
	}
});
let second;

function hearAsAlice(line) {
	if (line.type === "joined") second.say({ type: "send", to: bob, body: "hello" });
	if (line.type === "message") {
		console.log("alice got:", line.body);
		// No client has this id. `ref` names the request in the answer.
		second.say({ type: "send", to: `nobody-${run}`, body: "hello?", ref: crypto.randomUUID() });
	}
	if (line.type === "error") {
		console.log("refused:", line.code);
		for (const client of [first, second]) client.close();
	}
}
