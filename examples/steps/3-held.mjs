// Step 3, held messages: an id with a key is owned, and messages wait for it while it is away.
//
//     node 3-held.mjs ws://127.0.0.1:8080/ws

const url = globalThis.process?.argv[2] ?? `${location.origin.replace("http", "ws")}/ws`;
const run = crypto.randomUUID().slice(0, 8);
const [alice, bob] = [`alice-${run}`, `bob-${run}`];
// A secret of 16 to 128 bytes. Only who has it can join as bob, so keep it.
const key = crypto.randomUUID();

/** Joins with an id, and with a key if there is one. */
function join(id, key, hear) {
	const socket = new WebSocket(url, "sotto.v1");
	const client = {
		say: (line) => socket.send(JSON.stringify(line)),
		close: () => socket.close(1000),
	};
	socket.onopen = () => client.say({ type: "join", id, ...(key && { key }) });
	socket.onmessage = ({ data }) => {
		for (const text of data.split("\n")) hear(JSON.parse(text), client);
	};
	socket.onclose = () => hear({ type: "closed" }, client);
}

// Bob claims his id, and goes.
join(bob, key, ({ type }, client) => {
	if (type === "joined") client.close();
	if (type === "closed") join(alice, undefined, hearAsAlice);
});

function hearAsAlice({ type, held }, client) {
	if (type === "joined") {
		client.say({ type: "send", to: bob, body: "call me", ref: crypto.randomUUID() });
	}
	if (type === "sent") {
		console.log(held ? "bob is away, and the message waits" : "bob is here");
		client.close();
		// Bob comes back.
		join(bob, key, hearAsBob);
	}
}

function hearAsBob({ type, resumed, held, body, from }, client) {
	if (type === "joined") console.log(`resumed: ${resumed}, waiting: ${held}`);
	if (type === "message") {
		console.log(`${from.split("-")[0]} wrote:`, body);
		client.say({ type: "leave" });
	}
}
