// Step 4, acknowledgements: a message is held until it is acknowledged, so it survives a crash of
// its recipient. A known mid shows that it came before.
//
//     node 4-acknowledged.mjs ws://127.0.0.1:8080/ws

const url = globalThis.process?.argv[2] ?? `${location.origin.replace("http", "ws")}/ws`;
const run = crypto.randomUUID().slice(0, 8);
const [alice, bob] = [`alice-${run}`, `bob-${run}`];
const keys = { [alice]: crypto.randomUUID(), [bob]: crypto.randomUUID() };

function join(id, hear) {
	const socket = new WebSocket(url, "sotto.v1");
	const client = {
		say: (line) => socket.send(JSON.stringify(line)),
		close: () => socket.close(1000),
	};
	socket.onopen = () => client.say({ type: "join", id, key: keys[id] });
	socket.onmessage = ({ data }) => {
		for (const text of data.split("\n")) hear(JSON.parse(text), client);
	};
	socket.onclose = () => hear({ type: "closed" }, client);
}

/** The mids that bob has handled. A program that may be killed keeps them on disk. */
const known = new Set();

join(bob, hearAsBob);

function hearAsBob({ type, from, mid, body }, client) {
	if (type === "joined" && !known.size) join(alice, hearAsAlice);
	if (type === "closed" && known.size === 1) join(bob, hearAsBob);
	if (type !== "message") return;
	if (!known.has(mid)) {
		known.add(mid);
		console.log("bob handled:", body);
		// He crashes before he has acknowledged it.
		return client.close();
	}
	console.log("bob knows it, and acknowledges it");
	client.say({ type: "ack", to: from, mids: [mid] });
	known.clear();
	client.say({ type: "leave" });
}

function hearAsAlice({ type }, client) {
	if (type === "joined") {
		client.say({ type: "send", to: bob, body: "pay 5", ref: crypto.randomUUID() });
	}
	if (type === "delivered") {
		console.log("alice knows that it was delivered");
		client.say({ type: "leave" });
	}
}
