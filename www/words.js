/**
 * All texts of the page, in each language that it speaks.
 *
 * It does not know where a text is shown.
 */

/** @type {Words} */
const ENGLISH = {
	language: "en",

	tagline: "A private chat for two: choose an ID under which others can write to you.",
	keptWhere: "Messages are stored in your browsers, and on this server until they arrive, where its "
		+ "operator could read them.",
	invited: (peer) => `${peer} invites you to a private chat.`,
	yourId: "Your ID",
	join: "Join",
	connecting: "Connecting…",
	tryAgain: "Try again",

	chatWith: "Chat with",
	open: "Open",
	conversations: "Conversations",
	noConversations: "No conversations yet. Enter an ID above, or send a friend your invite link.",
	alike: (peer) => `You already chat with ${peer}. Is that who you mean?`,
	openPeer: (peer) => `Open ${peer}`,
	noConversation: "Choose a conversation, or start a new one.",
	unread: (count) => `${count} unread`,
	online: "online",
	away: "away",
	nobody: "no one here by this ID",
	isBlocked: "blocked",
	typing: "typing…",
	request: "wants to chat with you",
	draft: "Draft:",
	you: "You:",
	copyLink: "Copy invite link",
	copied: "Link copied",
	share: "Share invite link",
	linkCode: "Your invite link as a QR code",
	settings: "Settings",
	close: "Close",
	cancel: "Cancel",
	delete: "Delete",
	dismiss: "Dismiss",
	back: "Back",

	messages: "Messages",
	message: "Message",
	send: "Send",
	bytesLeft: (count) => `${count} bytes left`,
	bytesOver: (count) => `${count} bytes too long`,
	newMessages: (count) => (count === 1 ? "1 new message" : `${count} new messages`),
	newHere: "New",
	today: "Today",
	yesterday: "Yesterday",
	unsupported: "Unsupported message",
	showAll: "Show all",
	showLess: "Show less",
	retry: "Retry",
	withdraw: "Withdraw",
	waits: (peer, since) => ` for ${peer} since ${since}`,
	own: "You",
	announce: (peer, text) => `${peer}: ${text}`,
	newMessageFrom: (peer) => `New message from ${peer}`,
	leadsTo: (host) => `leads to ${host}`,
	newer: "The server has a newer page.",
	reload: "Reload",
	toEnd: "To the end",
	search: "Search in this conversation",
	earlierMatch: "Earlier match",
	laterMatch: "Later match",
	endSearch: "End the search",
	matches: (at, count) => (count ? `${at} of ${count}` : "No match"),
	notAll: "Earlier messages are missing here. Show the first with the Home key, and print again.",

	states: {
		received: "",
		sending: "Sending",
		waiting: "Waiting",
		withdrawn: "Withdrawn",
		sent: "Sent",
		delivered: "Delivered",
		read: "Read",
		doubtful: "Sent, but may be lost",
		failed: "Failed",
	},

	stranger: (peer) =>
		`${peer} is new here. If you accept or reply, links work and they see when you read and type.`,
	accept: "Accept",
	block: "Block",
	unblock: "Unblock",
	blocked: (peer) =>
		`You blocked ${peer}. They can’t reach you, and you appear offline to them.`,
	more: "More about this conversation",
	clear: "Clear this conversation",
	clearAsk: (peer) =>
		`Delete everything you and ${peer} wrote from this browser? ${peer} keeps what has arrived.`,
	remove: "Delete this conversation",
	removeAsk: (peer) =>
		`Delete the conversation with ${peer} from this browser? ${peer} keeps what has arrived.`,
	staysBlocked: (peer) => `${peer} stays blocked.`,

	connected: "Connected",
	reconnecting: {
		"": "Reconnecting…",
		restarting: "Reconnecting: the server is restarting",
		full: "Reconnecting: the server is full",
		busy: "Reconnecting: the server is busy",
		unreachable: "Can’t reach the server. Trying again…",
	},
	offline: "Offline",
	elsewhere: "Open in another tab",
	elsewhereMore: (id) => `${id} is open in another tab or window of this browser.`,
	useHere: "Use here",
	anotherId: "Use another ID",

	tellRead: "Tell others when I’ve read their messages",
	tellTyping: "Tell others when I’m typing",
	notify: "Notify me of new messages while I’m not looking at this page",
	notifying: {
		"": "",
		granted: "",
		asked: "Answer your browser’s question to turn notifications on.",
		default: "Your browser’s question wasn’t answered. Turn notifications on again, and allow them.",
		denied: "Your browser blocks notifications from here. Allow them in its settings.",
	},
	notifyText: "Show the text of messages in notifications",
	sound: "Play a sound for new messages",
	keptHere: "Messages are stored in this browser only.",
	forget: "Delete everything here and give up this ID",
	forgetAsk: (id) =>
		`Delete all messages of ${id} here, and let others take the ID? You can’t undo this.`,

	reasons: {
		bad_id: ({ to }) =>
			`“${to}” isn’t a valid ID. Use letters, digits and . _ - @ +, at most 64 bytes.`,
		bad_key: () => "The server didn’t accept this browser’s key. Choose another ID.",
		id_taken: ({ to }) => `${to} is taken. Choose another ID.`,
		id_lost: ({ to }) => `${to} is in use by someone else. Try again later. Your messages stay here.`,
		expired: ({ to }) => `${to} left, or didn’t come back in time`,
		offline: ({ to }) => `${to} is offline`,
		slow: ({ to }) => `${to} couldn’t keep up and was disconnected`,
		full: ({ to }) => `the server can’t take more for ${to} right now; try again later`,
		too_many: ({ text }) => `The server refused: ${text}`,
		forgotten: () => "the server lost track of it, so it may or may not have arrived",
		forgotten_all: () =>
			"The server restarted, or you were away too long. Messages not marked Delivered may be lost.",
		long: ({ bytes }) => `This message is ${bytes} bytes too long. Shorten it.`,
		unkept: () => "This browser doesn’t store messages. They’re gone once you close the page.",
		no_files: () => "Pictures and files can’t be sent here yet, only text. A link to them works.",
		alike: ({ to }) => `Looks like ${to}, but is another ID`,
		mixed: () => "Mixes alphabets: some letters aren’t the ones they look like",
		not_copied: () => "Your browser blocked copying. Allow it and try again.",
	},
};

/** @type {Words} */
const GERMAN = {
	language: "de",

	tagline: "Vertraulicher Chat zu zweit: Wähle eine ID, unter der andere dir schreiben können.",
	keptWhere: "Nachrichten liegen in euren Browsern und bis zur Ankunft auf diesem Server, wo sein "
		+ "Betreiber sie lesen könnte.",
	invited: (peer) => `${peer} lädt dich zu einem vertraulichen Chat ein.`,
	yourId: "Deine ID",
	join: "Los",
	connecting: "Verbinde …",
	tryAgain: "Noch einmal versuchen",

	chatWith: "Chatten mit",
	open: "Öffnen",
	conversations: "Unterhaltungen",
	noConversations: "Noch niemand da. Gib oben eine ID ein oder verschicke deinen Einladungslink.",
	alike: (peer) => `Du chattest schon mit ${peer}. Meinst du diese ID?`,
	openPeer: (peer) => `${peer} öffnen`,
	noConversation: "Wähle eine Unterhaltung oder beginne eine neue.",
	unread: (count) => `${count} ungelesen`,
	online: "online",
	away: "nicht da",
	nobody: "niemand mit dieser ID da",
	isBlocked: "blockiert",
	typing: "schreibt …",
	request: "möchte mit dir chatten",
	draft: "Entwurf:",
	you: "Du:",
	copyLink: "Einladungslink kopieren",
	copied: "Link kopiert",
	share: "Einladungslink teilen",
	linkCode: "Dein Einladungslink als QR-Code",
	settings: "Einstellungen",
	close: "Schließen",
	cancel: "Abbrechen",
	delete: "Löschen",
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
	unsupported: "Diese Nachricht lässt sich nicht anzeigen",
	showAll: "Alles zeigen",
	showLess: "Weniger zeigen",
	retry: "Erneut senden",
	withdraw: "Zurückziehen",
	waits: (peer, since) => ` auf ${peer} seit ${since}`,
	own: "Du",
	announce: (peer, text) => `${peer}: ${text}`,
	newMessageFrom: (peer) => `Neue Nachricht von ${peer}`,
	leadsTo: (host) => `führt zu ${host}`,
	newer: "Der Server hat eine neuere Seite.",
	reload: "Neu laden",
	toEnd: "Zum Ende",
	search: "In dieser Unterhaltung suchen",
	earlierMatch: "Früherer Treffer",
	laterMatch: "Späterer Treffer",
	endSearch: "Suche beenden",
	matches: (at, count) => (count ? `${at} von ${count}` : "Kein Treffer"),
	notAll: "Hier fehlen frühere Nachrichten. Zeige mit der Taste Pos1 die erste und drucke erneut.",

	states: {
		received: "",
		sending: "Wird gesendet",
		waiting: "Wartet",
		withdrawn: "Zurückgezogen",
		sent: "Gesendet",
		delivered: "Zugestellt",
		read: "Gelesen",
		doubtful: "Gesendet, aber vielleicht verloren",
		failed: "Fehlgeschlagen",
	},

	stranger: (peer) =>
		`${peer} ist neu hier. Wenn du annimmst oder antwortest, funktionieren Links, `
		+ `und ${peer} sieht, wann du liest und schreibst.`,
	accept: "Annehmen",
	block: "Blockieren",
	unblock: "Nicht mehr blockieren",
	blocked: (peer) =>
		`Du hast ${peer} blockiert. ${peer} erreicht dich nicht und sieht dich als offline.`,
	more: "Mehr zu dieser Unterhaltung",
	clear: "Diese Unterhaltung leeren",
	clearAsk: (peer) =>
		`Hier alles löschen, was du und ${peer} geschrieben habt? Was bei ${peer} ankam, bleibt dort.`,
	remove: "Diese Unterhaltung löschen",
	removeAsk: (peer) =>
		`Die Unterhaltung mit ${peer} hier löschen? Was bei ${peer} ankam, bleibt dort.`,
	staysBlocked: (peer) => `${peer} bleibt blockiert.`,

	connected: "Verbunden",
	reconnecting: {
		"": "Verbinde neu …",
		restarting: "Verbinde neu: Der Server startet neu",
		full: "Verbinde neu: Der Server ist voll",
		busy: "Verbinde neu: Der Server ist überlastet",
		unreachable: "Der Server ist nicht zu erreichen. Weitere Versuche laufen …",
	},
	offline: "Offline",
	elsewhere: "In einem anderen Tab offen",
	elsewhereMore: (id) => `${id} ist in einem anderen Tab oder Fenster dieses Browsers offen.`,
	useHere: "Hier benutzen",
	anotherId: "Andere ID benutzen",

	tellRead: "Anderen zeigen, wenn ich ihre Nachrichten gelesen habe",
	tellTyping: "Anderen zeigen, wenn ich gerade schreibe",
	notify: "Neue Nachrichten melden, wenn ich diese Seite nicht ansehe",
	notifying: {
		"": "",
		granted: "",
		asked: "Beantworte die Frage deines Browsers, um Benachrichtigungen einzuschalten.",
		default: "Die Frage deines Browsers blieb offen. Schalte noch einmal ein und erlaube es.",
		denied:
			"Dein Browser verbietet Benachrichtigungen von hier. Erlaube sie in seinen Einstellungen.",
	},
	notifyText: "In Benachrichtigungen den Text der Nachricht zeigen",
	sound: "Ton bei neuen Nachrichten",
	keptHere: "Nachrichten werden nur in diesem Browser gespeichert.",
	forget: "Hier alles löschen und diese ID aufgeben",
	forgetAsk: (id) =>
		`Hier alle Nachrichten von ${id} löschen und die ID freigeben? `
		+ "Das lässt sich nicht rückgängig machen.",

	reasons: {
		bad_id: ({ to }) =>
			`„${to}“ ist keine gültige ID. Nimm Buchstaben, Ziffern und . _ - @ +, höchstens 64 Bytes.`,
		bad_key: () =>
			"Der Server hat den Schlüssel dieses Browsers nicht angenommen. Wähle eine andere ID.",
		id_taken: ({ to }) => `${to} ist vergeben. Wähle eine andere ID.`,
		id_lost: ({ to }) =>
			`${to} benutzt gerade jemand anders. Versuch es später. Deine Nachrichten bleiben hier.`,
		expired: ({ to }) => `${to} ist gegangen oder kam nicht rechtzeitig zurück`,
		offline: ({ to }) => `${to} ist offline`,
		slow: ({ to }) => `${to} kam nicht nach und wurde getrennt`,
		full: ({ to }) => `der Server nimmt für ${to} gerade nichts mehr an; versuch es später`,
		too_many: ({ text }) => `Der Server hat abgelehnt: ${text}`,
		forgotten: () => "der Server weiß nicht mehr, ob sie angekommen ist",
		forgotten_all: () =>
			"Der Server wurde neu gestartet, oder du warst zu lange weg. "
			+ "Nicht zugestellte Nachrichten können verloren sein.",
		long: ({ bytes }) => `Diese Nachricht ist ${bytes} Bytes zu lang. Kürze sie.`,
		unkept: () =>
			"Dieser Browser speichert keine Nachrichten. Sie sind weg, sobald du die Seite schließt.",
		no_files: () =>
			"Bilder und Dateien lassen sich hier noch nicht senden, nur Text. Ein Link darauf geht.",
		alike: ({ to }) => `Sieht aus wie ${to}, ist aber eine andere ID`,
		mixed: () => "Mischt Alphabete: Manche Buchstaben sind andere, als sie scheinen",
		not_copied: () => "Dein Browser hat das Kopieren verhindert. Erlaube es und versuch es erneut.",
	},
};

export const LANGUAGES = [ENGLISH, GERMAN];

/** Returns the reader's first language that the page speaks. @param {readonly string[]} wanted */
export function chooseWords(wanted) {
	const codes = wanted.map((tag) => tag.toLowerCase().split("-")[0]);
	const spoken = codes.map((code) => LANGUAGES.find(({ language }) => language === code));
	return spoken.find(Boolean) ?? ENGLISH;
}

/** Returns our text for a reason, or the server's. @param {Words} words @param {Reason} reason */
export function reasonText(words, reason) {
	const known = Object.hasOwn(words.reasons, reason.code) && words.reasons[reason.code];
	return known ? known(reason) : (reason.text ?? reason.code);
}
