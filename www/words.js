/**
 * All that the page says, in each language that it speaks.
 *
 * Not known here: where it is said.
 */

export const ENGLISH = {
	language: "en",

	tagline: "Private one-to-one chat. Choose the ID by which others can write to you.",
	yourId: "Your ID",
	join: "Join",
	connecting: "Connecting…",

	chatWith: "Chat with",
	open: "Open",
	conversations: "Conversations",
	noConversations: "Nobody here yet. Enter somebody’s ID above, or send them your invite link.",
	noConversation: "Choose a conversation, or begin one.",
	unread: (/** @type {number} */ count) => `${count} unread`,
	online: "online",
	away: "away",
	typing: "typing…",
	request: "wants to write to you",
	draft: "Draft:",
	you: "You:",
	copyLink: "Copy invite link",
	copied: "Link copied",
	share: "Share",
	settings: "Settings",
	close: "Close",
	cancel: "Cancel",
	dismiss: "Dismiss",
	back: "Back",

	messages: "Messages",
	message: "Message",
	send: "Send",
	bytesLeft: (/** @type {number} */ count) => `${count} bytes left`,
	bytesOver: (/** @type {number} */ count) => `${count} bytes too long`,
	newMessages: (/** @type {number} */ count) => (count === 1 ? "1 new message" : `${count} new messages`),
	newHere: "New",
	today: "Today",
	yesterday: "Yesterday",
	unsupported: "Unsupported message",
	retry: "Retry",
	own: "You",
	announce: (/** @type {string} */ peer, /** @type {string} */ text) => `${peer}: ${text}`,
	announceElsewhere: (/** @type {string} */ peer) => `New message from ${peer}`,

	states: {
		received: "",
		sending: "Sending",
		sent: "Sent",
		delivered: "Delivered",
		read: "Read",
		doubtful: "Sent, may be lost",
		failed: "Failed",
	},

	stranger: (/** @type {string} */ peer) => `${peer} is new here. Accept to make links work and to show when you read; an answer accepts, too.`,
	accept: "Accept",
	block: "Block",
	unblock: "Unblock",
	blocked: (/** @type {string} */ peer) => `You have blocked ${peer}: nothing from there reaches you, and you look away.`,
	more: "More about this conversation",
	clear: "Clear this conversation",
	clearAsk: (/** @type {string} */ peer) => `Forget here all that you and ${peer} wrote? ${peer} keeps what arrived there.`,

	connected: "Connected",
	/** @type {Record<Outage, string>} */
	reconnecting: {
		"": "Reconnecting…",
		restarting: "Reconnecting: the server is restarting",
		full: "Reconnecting: the server is full",
		busy: "Reconnecting: the server is busy",
	},
	offline: "Offline",
	elsewhere: "Open in another tab",
	elsewhereMore: (/** @type {string} */ id) => `${id} is in use in another tab or window of this browser.`,
	useHere: "Use here",
	anotherId: "Use another ID",

	tellRead: "Tell others when I have read their messages",
	tellTyping: "Tell others when I am typing",
	notify: "Notify me of messages while this page is hidden",
	notifyText: "Show what they say in notifications",
	sound: "Play a sound for new messages",
	keptHere: "Messages are kept in this browser only.",
	forget: "Forget everything here and give up this ID",
	forgetAsk: (/** @type {string} */ id) => `Forget all messages of ${id} in this browser, and let others take the ID? This cannot be undone.`,
	notified: (/** @type {string} */ peer) => `New message from ${peer}`,

	/** @type {Record<string, (reason: Reason) => string>} by code */
	reasons: {
		bad_id: ({ to }) => `“${to}” is no ID: letters, digits and . _ - @ + make one, at most 64 bytes`,
		bad_key: () => "The server does not take this browser’s key",
		id_taken: ({ to }) => `${to} is taken: somebody else uses this ID. Choose another`,
		offline: ({ to }) => `${to} is not here`,
		slow: ({ to }) => `${to} could not keep up and was disconnected`,
		full: ({ to }) => `too much is waiting for ${to} already`,
		too_many: ({ text }) => `The server’s limit is reached: ${text}`,
		expired: ({ to }) => `${to} left, or did not come back in time`,
		forgotten: () => "the server lost track of it; it may or may not have arrived",
		forgotten_all: () => "The server was restarted, or you were away too long: messages that do not say Delivered may be lost",
		long: ({ bytes }) => `This message is too long by ${bytes} bytes`,
		unkept: () => "This browser does not keep messages here: they are gone when the page is closed",
		not_copied: () => "The browser did not allow copying",
		not_allowed: () => "The browser does not allow notifications from here",
	},
};

/** @type {Words} */
const GERMAN = {
	language: "de",

	tagline: "Vertraulicher Chat zu zweit. Wähle die ID, unter der andere dir schreiben können.",
	yourId: "Deine ID",
	join: "Los",
	connecting: "Verbinde …",

	chatWith: "Chatten mit",
	open: "Öffnen",
	conversations: "Unterhaltungen",
	noConversations: "Noch niemand da. Gib oben eine ID ein, oder verschicke deinen Einladungslink.",
	noConversation: "Wähle eine Unterhaltung, oder beginne eine.",
	unread: (count) => `${count} ungelesen`,
	online: "online",
	away: "nicht da",
	typing: "schreibt …",
	request: "möchte dir schreiben",
	draft: "Entwurf:",
	you: "Du:",
	copyLink: "Einladungslink kopieren",
	copied: "Link kopiert",
	share: "Teilen",
	settings: "Einstellungen",
	close: "Schließen",
	cancel: "Abbrechen",
	dismiss: "Verstanden",
	back: "Zurück",

	messages: "Nachrichten",
	message: "Nachricht",
	send: "Senden",
	bytesLeft: (count) => `noch ${count} Bytes`,
	bytesOver: (count) => `${count} Bytes zu lang`,
	newMessages: (count) => (count === 1 ? "1 neue Nachricht" : `${count} neue Nachrichten`),
	newHere: "Neu",
	today: "Heute",
	yesterday: "Gestern",
	unsupported: "Nicht darstellbare Nachricht",
	retry: "Erneut senden",
	own: "Du",
	announce: (peer, text) => `${peer}: ${text}`,
	announceElsewhere: (peer) => `Neue Nachricht von ${peer}`,

	states: {
		received: "",
		sending: "Wird gesendet",
		sent: "Gesendet",
		delivered: "Zugestellt",
		read: "Gelesen",
		doubtful: "Gesendet, vielleicht verloren",
		failed: "Fehlgeschlagen",
	},

	stranger: (peer) => `${peer} ist neu hier. Nimm an, damit Links funktionieren und man sieht, was du gelesen hast; wer antwortet, nimmt auch an.`,
	accept: "Annehmen",
	block: "Blockieren",
	unblock: "Nicht mehr blockieren",
	blocked: (peer) => `Du hast ${peer} blockiert: Von dort erreicht dich nichts, und du scheinst nicht da zu sein.`,
	more: "Mehr zu dieser Unterhaltung",
	clear: "Diese Unterhaltung leeren",
	clearAsk: (peer) => `Hier alles vergessen, was du und ${peer} geschrieben habt? Was bei ${peer} ankam, bleibt dort.`,

	connected: "Verbunden",
	reconnecting: {
		"": "Verbinde neu …",
		restarting: "Verbinde neu: Der Server startet neu",
		full: "Verbinde neu: Der Server ist voll",
		busy: "Verbinde neu: Der Server ist überlastet",
	},
	offline: "Offline",
	elsewhere: "In einem anderen Tab offen",
	elsewhereMore: (id) => `${id} wird in einem anderen Tab oder Fenster dieses Browsers benutzt.`,
	useHere: "Hier benutzen",
	anotherId: "Andere ID benutzen",

	tellRead: "Anderen zeigen, was ich gelesen habe",
	tellTyping: "Anderen zeigen, wenn ich schreibe",
	notify: "Benachrichtigen, wenn diese Seite verdeckt ist",
	notifyText: "In Benachrichtigungen zeigen, was geschrieben wurde",
	sound: "Ton bei neuen Nachrichten",
	keptHere: "Nachrichten werden nur in diesem Browser aufbewahrt.",
	forget: "Hier alles vergessen und diese ID aufgeben",
	forgetAsk: (id) => `Alle Nachrichten von ${id} in diesem Browser vergessen, und die ID anderen überlassen? Das lässt sich nicht rückgängig machen.`,
	notified: (peer) => `Neue Nachricht von ${peer}`,

	reasons: {
		bad_id: ({ to }) => `„${to}“ ist keine ID: Erlaubt sind Buchstaben, Ziffern und . _ - @ +, höchstens 64 Bytes`,
		bad_key: () => "Der Server nimmt den Schlüssel dieses Browsers nicht an",
		id_taken: ({ to }) => `${to} ist vergeben: Jemand anderes benutzt diese ID. Wähle eine andere`,
		offline: ({ to }) => `${to} ist nicht da`,
		slow: ({ to }) => `${to} kam nicht nach und wurde getrennt`,
		full: ({ to }) => `für ${to} wartet schon zu viel`,
		too_many: ({ text }) => `Eine Grenze des Servers ist erreicht: ${text}`,
		expired: ({ to }) => `${to} ist gegangen, oder kam nicht rechtzeitig zurück`,
		forgotten: () => "der Server weiß nichts mehr davon; vielleicht ist sie angekommen, vielleicht nicht",
		forgotten_all: () => "Der Server wurde neu gestartet, oder du warst zu lange fort: Was nicht als zugestellt gilt, kann verloren sein",
		long: ({ bytes }) => `Diese Nachricht ist ${bytes} Bytes zu lang`,
		unkept: () => "Dieser Browser bewahrt hier keine Nachrichten auf: Sie sind fort, wenn die Seite geschlossen wird",
		not_copied: () => "Der Browser hat das Kopieren nicht erlaubt",
		not_allowed: () => "Der Browser erlaubt von hier keine Benachrichtigungen",
	},
};

export const LANGUAGES = [ENGLISH, GERMAN];

/** The first language that the reader asks for and we speak; else English. @param {readonly string[]} wanted */
export function chooseWords(wanted) {
	const spoken = wanted.map((tag) => LANGUAGES.find(({ language }) => tag.toLowerCase().split("-")[0] === language));
	return spoken.find(Boolean) ?? ENGLISH;
}

/** Why something did not work; what has no words here the server says in its own. @param {Words} words @param {Reason} reason */
export function reasonText(words, reason) {
	const known = Object.hasOwn(words.reasons, reason.code) && words.reasons[reason.code];
	return known ? known(reason) : (reason.text ?? reason.code);
}
