/**
 * All texts of the page, in each language that it speaks.
 *
 * It does not know where a text is shown.
 */

/** @type {Words} */
const ENGLISH = {
	language: "en",

	tagline: "A private chat for two: choose an ID under which others can write to you.",
	keptWhere: {
		"": "Messages between two pages like this are encrypted. The server stores them until they "
			+ "arrive, but can’t read them.",
		http: "Not encrypted: this page came over http. The operator of the server, and others on the "
			+ "way to it, could read your messages.",
		old: "Not encrypted: this browser can’t do it. Update it, or use another one.",
	},
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
		address: "This server doesn’t know its public address. Its operator has to start it with "
			+ "--origin ORIGIN",
		proxy: "The proxy in front of this server doesn’t pass WebSockets on. Its operator finds the "
			+ "lines for it in sotto’s guide.",
		down: "The server behind this address isn’t running. Trying again…",
	},
	safety: {
		"": "", plain: "not encrypted", sealed: "encrypted", verified: "encrypted, verified",
		changed: "from another device", gone: "encryption stopped",
	},
	safetyMore: {
		plain: (peer) => `Not encrypted: ${peer} doesn’t use a page that can do it. The operator of the `
			+ "server could read what you write.",
		sealed: (peer) => `Encrypted. To be sure that no one sits in between, call ${peer} and compare `
			+ "safety numbers.",
		verified: () => "Encrypted, and you’ve verified who it is.",
		changed: (peer) => `What comes from ${peer} now comes from another device.`,
		gone: (peer) => `${peer} used to be encrypted, but isn’t any more.`,
	},
	keyChanged: (peer) => `Is this still ${peer}? “${peer}” seems to write from another phone or `
		+ `computer now. Maybe it’s new or was cleared. Or someone is posing as ${peer}. Call ${peer} `
		+ "and ask. No rush: nothing is sent there until you press Yes.",
	isPeer: (peer) => `Yes, it’s ${peer}`,
	keepKey: "No, or not sure",
	keyGone: (peer) => `Nothing you write to ${peer} is sent: it would no longer stay private. If you `
		+ "go on, whoever runs this chat could read it.",
	writePlain: "Write unencrypted",
	otherKey: (peer) => `From another device: it may not be ${peer}`,
	missing: "A message before this one is missing",
	late: "Came late: it was written before the ones above",
	forgeable: "Not encrypted: the server could have written it",
	unopened: "Could not be decrypted here",
	unreadable: (peer) => `Could not be decrypted here. ${peer}’s page is asked to send it again.`,
	theirNumber: (peer) => `${peer}’s safety number:`,
	ownNumber: "Your safety number:",
	compare: "Compare safety numbers",
	verify: "Both numbers match",
	unverify: "No longer verified",
	code: "Recovery code",
	haveCode: "I have a recovery code",
	privateHere: "This server is private: ask whoever runs it for the password.",
	password: "Password of this server",
	linkPassword: "Put this server’s password into my invite links",
	showCode: "Show the recovery code",
	codeMore: "Write it down. With it and your ID you get the ID back in another browser, without "
		+ "messages. Anyone else who has it can write in your name.",
	noCode: "There is no code for this ID. Give it up and choose it again to get one.",
	aboutEncryption: "Encryption and recovery code",
	encryption: "Messages between two pages are encrypted in your browsers. The operator of the "
		+ "server learns no text, and not when you read or type: only who writes to whom, when, and "
		+ "roughly how much. Once you’ve compared numbers, the server can’t write in the other’s name "
		+ "either.\n\n"
		+ "The page itself comes from the server; whoever runs it could serve a page that gives messages "
		+ "away. What runs here protects against a server that reads, not against one that replaces "
		+ "the page.\n\n"
		+ "Not promised: hiding who writes to whom. “Online” and “Delivered” are the server’s word. "
		+ "Messages stay readable in this browser, to anyone who can use it.",

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
		forbidden: () => "This server is private. Enter its password.",
		wrong_password: () => "That isn’t this server’s password. Enter it again.",
		no_login: () => "Your login doesn’t open this chat. Log in again.",
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
		changed: ({ to }) =>
			`it may not be ${to} any more; answer the question first, then send it again`,
		unsealed: ({ to }) => `it couldn’t be encrypted for ${to}`,
		other_keys: ({ to }) => `${to}’s browser has other keys`,
		same_key: ({ to }) => `Has the same key as ${to}`,
		bad_code: () => "This code doesn’t belong to this ID. Check both.",
		not_copied: () => "Your browser blocked copying. Allow it and try again.",
	},
};

/** @type {Words} */
const GERMAN = {
	language: "de",

	tagline: "Vertraulicher Chat zu zweit: Wähle eine ID, unter der andere dir schreiben können.",
	keptWhere: {
		"": "Nachrichten zwischen zwei Seiten wie dieser sind verschlüsselt. Der Server hebt sie bis zur "
			+ "Ankunft auf, kann sie aber nicht lesen.",
		http: "Nicht verschlüsselt: Diese Seite kam über http. Der Betreiber des Servers und andere auf "
			+ "dem Weg dorthin könnten deine Nachrichten lesen.",
		old: "Nicht verschlüsselt: Dieser Browser kann es nicht. Aktualisiere ihn oder nimm einen "
			+ "anderen.",
	},
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
		address: "Dieser Server kennt seine öffentliche Adresse nicht. Wer ihn betreibt, muss ihn mit "
			+ "--origin ORIGIN starten.",
		proxy: "Der Proxy vor diesem Server reicht WebSockets nicht weiter. Wer ihn betreibt, findet die "
			+ "Zeilen dafür in der Anleitung von sotto.",
		down: "Der Server hinter dieser Adresse läuft nicht. Weitere Versuche laufen …",
	},
	safety: {
		"": "", plain: "nicht verschlüsselt", sealed: "verschlüsselt", verified: "verschlüsselt, geprüft",
		changed: "von einem anderen Gerät", gone: "Verschlüsselung fehlt",
	},
	safetyMore: {
		plain: (peer) => `Nicht verschlüsselt: ${peer} benutzt keine Seite, die es kann. Der Betreiber `
			+ "des Servers könnte lesen, was du schreibst.",
		sealed: (peer) => "Verschlüsselt. Um sicher zu sein, dass niemand dazwischen sitzt, ruf "
			+ `${peer} an und vergleicht eure Sicherheitsnummern.`,
		verified: () => "Verschlüsselt, und du hast geprüft, wer es ist.",
		changed: (peer) => `Was von ${peer} kommt, kommt jetzt von einem anderen Gerät.`,
		gone: (peer) => `Bei ${peer} war alles verschlüsselt, jetzt aber nicht mehr.`,
	},
	keyChanged: (peer) => `Ist das noch ${peer}? „${peer}“ schreibt anscheinend von einem anderen `
		+ `Gerät. Vielleicht ist es neu oder wurde geleert. Oder jemand gibt sich als ${peer} aus. Ruf `
		+ `${peer} an und frag. `
		+ "Keine Eile: Ohne dein Ja geht nichts dorthin.",
	isPeer: (peer) => `Ja, es ist ${peer}`,
	keepKey: "Nein oder unsicher",
	keyGone: (peer) => `Nichts, was du ${peer} schreibst, wird gesendet: Es bliebe nicht mehr privat. `
		+ "Schreibst du trotzdem, könnte der Betreiber des Chats mitlesen.",
	writePlain: "Unverschlüsselt schreiben",
	otherKey: (peer) => `Von einem anderen Gerät: Vielleicht ist es nicht ${peer}`,
	missing: "Eine Nachricht davor fehlt",
	late: "Kam später: geschrieben vor denen darüber",
	forgeable: "Nicht verschlüsselt: Der Server könnte sie geschrieben haben",
	unopened: "Ließ sich hier nicht entschlüsseln",
	unreadable: (peer) =>
		`Ließ sich hier nicht entschlüsseln. Die Seite von ${peer} soll sie noch einmal senden.`,
	theirNumber: (peer) => `Sicherheitsnummer von ${peer}:`,
	ownNumber: "Deine Sicherheitsnummer:",
	compare: "Sicherheitsnummern vergleichen",
	verify: "Beide Nummern stimmen",
	unverify: "Nicht mehr geprüft",
	code: "Rettungscode",
	haveCode: "Ich habe einen Rettungscode",
	privateHere: "Dieser Server ist privat: Frag seinen Betreiber nach dem Passwort.",
	password: "Passwort dieses Servers",
	linkPassword: "Das Passwort des Servers in meine Einladungslinks aufnehmen",
	showCode: "Rettungscode zeigen",
	codeMore: "Schreib ihn auf. Mit ihm und deiner ID bekommst du die ID in einem anderen Browser "
		+ "zurück, ohne Nachrichten. Wer ihn sonst hat, kann in deinem Namen schreiben.",
	noCode: "Für diese ID gibt es keinen Code. Gib sie auf und wähle sie neu, um einen zu bekommen.",
	aboutEncryption: "Verschlüsselung und Rettungscode",
	encryption: "Nachrichten zwischen zwei Seiten werden in euren Browsern verschlüsselt. Der "
		+ "Betreiber des Servers erfährt keinen Text und nicht, wann ihr lest oder schreibt: nur wer wem "
		+ "wann und etwa wie viel schreibt. Habt ihr die Nummern verglichen, kann der Server auch nicht "
		+ "im Namen des anderen schreiben.\n\n"
		+ "Die Seite selbst kommt vom Server; wer ihn betreibt, könnte eine Seite ausliefern, die "
		+ "Nachrichten verrät. Was hier läuft, schützt vor einem Server, der mitliest, nicht vor einem, "
		+ "der die Seite austauscht.\n\n"
		+ "Nicht versprochen: zu verbergen, wer wem schreibt. „Online“ und „Zugestellt“ sagt der Server. "
		+ "In diesem Browser bleiben Nachrichten lesbar für alle, die ihn benutzen können.",

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
		forbidden: () => "Dieser Server ist privat. Gib sein Passwort ein.",
		wrong_password: () => "Das ist nicht das Passwort dieses Servers. Gib es noch einmal ein.",
		no_login: () => "Deine Anmeldung öffnet diesen Chat nicht. Melde dich noch einmal an.",
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
		changed: ({ to }) =>
			`vielleicht ist es nicht mehr ${to}; beantworte erst die Frage, dann sende sie erneut`,
		unsealed: ({ to }) => `sie ließ sich für ${to} nicht verschlüsseln`,
		other_keys: ({ to }) => `der Browser von ${to} hat andere Schlüssel`,
		same_key: ({ to }) => `Hat denselben Schlüssel wie ${to}`,
		bad_code: () => "Dieser Code gehört nicht zu dieser ID. Prüfe beide.",
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

/**
 * Returns the words in place of a body that cannot be shown.
 * @param {Words} words @param {boolean} [unreadable]
 */
export function unshown(words, unreadable) {
	return unreadable ? words.unopened : words.unsupported;
}
