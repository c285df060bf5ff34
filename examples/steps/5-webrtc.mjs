// Step 5, WebRTC signalling: two browsers that know each other's ids open a data channel. sotto
// carries the offer, the answer and the candidates; what they say then goes between them.
//
// Paste it into the console of sotto's page. Both ends are in one page here; elsewhere one page
// calls `call` and the other `answer`.

const { connect } = await import("/client.js");

const url = `${location.origin.replace("http", "ws")}/ws`;
const run = crypto.randomUUID().slice(0, 8);
const [alice, bob] = ["alice", "bob"].map((name) => connect(url, { id: `${name}-${run}` }));

/** Returns a connection to a peer, whose signals come as messages: each once, and in order. */
function connectionOf(me, peer) {
	const connection = new RTCPeerConnection();
	connection.onicecandidate = ({ candidate }) => me.send(peer, { candidate });
	return connection;
}

async function hear(me, connection, { from, body: { description, candidate } }) {
	if (candidate) await connection.addIceCandidate(candidate);
	if (!description) return;
	await connection.setRemoteDescription(description);
	if (description.type !== "offer") return;
	await connection.setLocalDescription();
	me.send(from, { description: connection.localDescription });
}

function answer(me) {
	let connection;
	me.onmessage = async (message) => {
		connection ??= Object.assign(connectionOf(me, message.from), {
			ondatachannel: ({ channel }) => {
				channel.onmessage = ({ data }) => channel.send(`${data} to you`);
			},
		});
		await hear(me, connection, message);
	};
}

async function call(me, peer) {
	const connection = connectionOf(me, peer);
	const channel = connection.createDataChannel("chat");
	me.onmessage = (message) => hear(me, connection, message);
	await connection.setLocalDescription();
	me.send(peer, { description: connection.localDescription });
	return new Promise((resolve) => {
		channel.onopen = () => channel.send("hello");
		channel.onmessage = ({ data }) => resolve(data);
	});
}

answer(bob);
await new Promise((resolve) => { bob.onstate = resolve; });
console.log("alice got, without a server:", await call(alice, bob.id));
