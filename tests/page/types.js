/**
 * The types that the modules of the page exchange, for readers and for the type check. As this file
 * is a script and no module, each name is known in every file of `www/`. It is not served.
 */

// ---- Our id and its connection

/**
 * - "none": the join screen is shown.
 * - "joining": the reader has entered an id, which the server has not confirmed yet.
 * - "lost": the id was ours, and we want it back.
 * - "replaced": another tab has the id, until the reader asks for it here.
 * @typedef {"none" | "joining" | "joined" | "lost" | "replaced"} Connection
 */

/**
 * Why there is no connection, as far as it is known.
 * @typedef {"" | "restarting" | "full" | "busy" | "unreachable" | "address" | "proxy" | "down"} Outage
 */

// ---- Messages

/**
 * Why something failed. `words.js` has a sentence for most codes; for the others `text` is shown,
 * the server's own.
 * @typedef {object} Reason
 * @property {string} code
 * @property {string} [to] the peer, or our own id
 * @property {string} [text]
 * @property {number} [bytes] by which a message is too long
 */

/**
 * @typedef {object} MessageFields
 * @property {string} peer
 * @property {number} place orders a conversation: no two messages of it have the same
 * @property {unknown} body any JSON value, because strangers choose it
 * @property {number} at in ms since 1970
 * @property {boolean} [cleared] the message must not be kept any more
 * @property {number} [number] the sender's number of a sealed message
 * @property {number} [after] the number of the sender's message before it
 * @property {boolean} [foreign] it came from another identity than the pinned one
 */

/**
 * A message to us.
 * @typedef {MessageFields & ArrivedFields & { mine: false, state: "received", mid: string }
 *   } IncomingMessage
 */

/**
 * The fields of a message that follow from the way it came.
 * @typedef {object} ArrivedFields
 * @property {unknown} body
 * @property {number} [number]
 * @property {number} [after]
 * @property {boolean} [plain] it came as plain text from a peer with a pinned identity
 * @property {boolean} [unreadable] it could not be opened, and its body is `null`
 * @property {boolean} [gap] the message before it had not come by then
 * @property {boolean} [late] messages that were written later came before it
 * @property {boolean} [foreign]
 */

/**
 * - "sending": the server has not answered, or does not have the message yet.
 * - "waiting": the message has not arrived, and goes again when its peer is back.
 * - "sent": the server has the message, and will tell its fate.
 * - "delivered", "failed", "withdrawn": the fates.
 * - "doubtful": the message was sent, and the server has forgotten its fate.
 * @typedef {"sending" | "waiting" | "sent" | "delivered" | "failed" | "doubtful"
 *   | "withdrawn"} OutgoingState
 */

/**
 * @typedef {object} OutgoingFields
 * @property {true} mine
 * @property {OutgoingState} state
 * @property {string} ref names the message in the server's answer
 * @property {string} [mid] names the message in its fate; it comes with the answer
 * @property {boolean} [said] the message was given to the socket, so the server may have it
 * @property {string} [ownership] the one of our id under which the message was said, by its name
 * @property {Reason} [reason] why it failed
 * @property {SealedBody} [sealed] the message as it was said, until the server has answered
 * @property {boolean} [plain] it went as plain text, though an identity is pinned
 * @property {string} [sealedFor] the identity for which it was sealed
 * @property {string} [was] the mid under which the peer could not open it: it was sealed anew once
 */

/**
 * A message of ours.
 * @typedef {MessageFields & OutgoingFields} OutgoingMessage
 */

/** @typedef {IncomingMessage | OutgoingMessage} Message */

/** The fate of a message that the server has taken. @typedef {"delivered" | "expired"} Fate */

/**
 * The fields of a message that an answer or a fate changes.
 * @typedef {Partial<OutgoingMessage>} Outcome
 */

/**
 * The fields that the storage adds to a message: our id, once more as `open` while it has no fate.
 * @typedef {{ id?: string, open?: string }} StoredFields
 */

// ---- The state

/**
 * @typedef {object} Conversation
 * @property {string} peer
 * @property {Message[]} messages the latest ones, in the order of their places
 * @property {boolean} earlier the storage has messages before these
 * @property {boolean} loading the storage was asked for messages before these
 * @property {number} last the place of the latest event
 * @property {number} unread a count of messages
 * @property {number} seen the reader has seen the messages up to this place
 * @property {number} [newAfter] messages after this place were new when the conversation was opened
 * @property {number} readTo the peer has read our messages up to this place
 * @property {string} [readTold] the mid of the last message that the peer was told we have read
 * @property {"" | "online" | "away"} presence empty until the server reports it
 * @property {number} typing the time in ms until which the peer counts as typing, or 0
 * @property {number} typedAt the time in ms at which the peer was last told that we are typing
 * @property {string} draft
 * @property {boolean} accepted the peer is not a stranger
 * @property {boolean} blocked
 * @property {boolean} hidden the reader deleted the conversation, and its peer stays blocked
 * @property {PeerKeys} keys
 * @property {"" | "asked" | "card" | "none" | "unclaimed"} heard the server's answer about the peer's
 *   card on this connection; "unclaimed": no client has the id
 */

/**
 * @typedef {Record<"read" | "typing" | "notify" | "notifyText" | "sound" | "linkPassword", boolean>
 *   } Settings
 */

/**
 * The fields that only `Identity` writes.
 * @typedef {object} IdentityState
 * @property {Connection} connection
 * @property {string} id stays after a refusal, so that the reader can edit it
 * @property {boolean} ours the id was ours, even if the server refuses it now
 * @property {boolean} ready the storage was asked about the id, so a connection may be made
 * @property {Outage} outage
 * @property {boolean} quiet the connection was lost a moment ago, and is still shown as there
 */

/**
 * The fields that only `Conversations` writes.
 * @typedef {object} ConversationsState
 * @property {string} openPeer
 * @property {Map<string, Conversation>} conversations by peer, the one with the latest event last
 */

/**
 * The fields that only `Search` writes.
 * @typedef {object} SearchState
 * @property {{ peer: string, text: string, places: number[], at: number, messages: number } | null
 *   } search the places of the messages that hold the text, the shown one of them, and the number
 *   of messages that were searched; `null` while no search is open
 */

/**
 * The fields that only `Store` writes.
 * @typedef {object} StoreState
 * @property {boolean} kept the browser keeps messages
 * @property {string} invite the peer whose invite link was opened, until there is an id to answer
 * @property {boolean} isPrivate the server asks for a password, as far as it is known
 * @property {boolean} outdated the server has a newer page
 * @property {"" | "asked" | NotificationPermission} notifying the browser's permission to notify,
 *   once the reader has asked for it
 * @property {Reason | null} alert a notice that waits for the reader's attention
 * @property {boolean} online the browser reports a network
 * @property {boolean} seals we have a card, as far as it is known, so messages can be sealed
 * @property {boolean} visible a person looks at the page, which is in view and has the focus:
 *   otherwise no message counts as read
 * @property {Settings} settings
 */

/** @typedef {IdentityState & ConversationsState & SearchState & StoreState} State */

/** @typedef {SearchState & Readonly<ConversationsState>} StateOfSearch */

/**
 * The state as `Identity` is given it.
 * @typedef {IdentityState & Readonly<ConversationsState & SearchState & StoreState>
 *   } StateOfIdentity
 */

/**
 * The state as `Conversations` is given it.
 * @typedef {ConversationsState & Readonly<IdentityState & SearchState & StoreState>
 *   } StateOfConversations
 */

/** @typedef {import("../../www/store.js").Store} Store */

/**
 * The functions that the store is given.
 * @typedef {object} StoreOutside
 * @property {(id: string) => string} keyOf returns the secret that proves an id to be ours
 * @property {(id: string) => Record<string, string>} pinsOf returns pinned identities by peer
 * @property {(id: string, peer: string, sign?: string) => void} notePin keeps a pinned identity
 * @property {() => Card | undefined} ownCard returns our card, if we have one
 * @property {() => string} password returns the server's password; empty: none is known
 * @property {() => string} token returns the token of a login elsewhere; empty: there is none
 * @property {() => void} dropPassword the server has refused it, or our login
 * @property {(line: ClientLine, sealing?: Sealing) => void} say gives a line to the socket, with a
 *   body that has to be sealed
 * @property {(arrived: IncomingMessage[]) => void} changed is told of each change, and of the
 *   messages that arrived with it
 * @property {(id: string, take: boolean) => void} prepare claims the id for this tab, with `take`
 *   also from another one, and asks the storage about it: `restored` or `claimedElsewhere` answers
 * @property {(peer: string, before: number, count: number) => void} load asks the storage for the
 *   last messages before a place: `loaded` answers
 * @property {(peer: string) => Promise<Message[]>} search returns the latest kept messages
 * @property {() => string} newRef returns a random text, never the same twice
 * @property {() => number} now returns milliseconds since 1970
 * @property {(call: () => void, ms: number) => void} later
 * @property {Partial<Settings>} [settings]
 */

/**
 * The functions and other parts that a part of the store is given.
 * @typedef {object} PartOutside
 * @property {import("../../www/outgoing.js").Outgoing} outgoing
 * @property {import("../../www/unsaved.js").Unsaved} unsaved
 * @property {(peer: string) => string | undefined} pinOf returns the identity that is pinned
 * @property {(peer: string) => void} unpin
 * @property {StoreOutside["say"]} say
 * @property {(peer: string, before: number, count: number) => void} load
 * @property {(peer: string) => Promise<Message[]>} search
 * @property {() => number} now
 * @property {(call: () => void, ms: number) => void} later
 * @property {() => void} changed is told of changes that no call of the store has made
 */

/** @typedef {Pick<PartOutside, "later" | "changed">} IdentityOutside */
/**
 * @typedef {Pick<StoreOutside, "say" | "newRef" | "now"> & Pick<PartOutside, "unsaved"> & {
 *   isOnline: (peer: string) => boolean, isExpected: (peer: string) => boolean,
 *   wayTo: (peer: string) => Way, isPinned: (peer: string) => boolean,
 *   numberMessage: (peer: string) => { number: number, after: number },
 *   gotFrom: (peer: string) => number, ownCardBytes: () => number }} OutgoingOutside
 */
/**
 * @typedef {Pick<StoreOutside, "say" | "now" | "ownCard"> & Pick<PartOutside, "unsaved"> & {
 *   notePin: (peer: string, sign: string) => void,
 *   stop: (peer: string, reason: Reason) => void }} TrustOutside
 */
/**
 * @typedef {PartOutside & { trust: import("../../www/trust.js").Trust,
 *   lost: (peer: string, mids: unknown[], isForeign: boolean) => void }} SignalsOutside
 */
/**
 * @typedef {PartOutside & { trust: import("../../www/trust.js").Trust,
 *   conversations: import("../../www/conversations.js").Conversations }} ArrivalsOutside
 */

// ---- Lines, as the protocol has them

/**
 * @typedef {{ type: "joined", resumed: boolean, max_message: number, hold?: number,
 *   ownership?: string, card?: number }} JoinedLine
 */
/**
 * @typedef {{ type: "message", from: string, body: unknown, mid: string, at: number,
 *   opened?: Opened }} MessageLine
 */
/** @typedef {{ type: "sent", ref: string, mid: string, at: number }} SentLine */
/** @typedef {{ type: "delivered", from: string, mids: string[] }} DeliveredLine */
/** @typedef {{ type: "expired", to: string, mids: string[] }} ExpiredLine */
/** @typedef {{ type: "signal", from: string, body: unknown, opened?: Opened }} SignalLine */
/** @typedef {{ type: "card", id: string, claimed: boolean, card?: Card }} CardLine */
/** @typedef {{ type: "presence", id: string, online: boolean }} PresenceLine */
/** @typedef {{ type: "error", code: string, ref?: string, to?: string, text: string }} ErrorLine */

/**
 * A line of the server, with the keys that the page reads.
 * @typedef {JoinedLine | MessageLine | SentLine | DeliveredLine | ExpiredLine | SignalLine
 *   | PresenceLine | CardLine | ErrorLine} ServerLine
 */

/** @typedef {{ type: "send", to: string, body: unknown, ref: string }} SendLine */
/**
 * @typedef {{ type: "join", id: string, key: string, card?: Card, password?: string,
 *   token?: string }} JoinLine
 */
/** @typedef {{ type: "card", card: Card } | { type: "lookup", id: string }} OwnCardLine */
/** @typedef {{ type: "signal", to: string, body: unknown }} TellLine */
/** @typedef {{ type: "watch" | "unwatch" | "block" | "unblock", ids: string[] }} IdsLine */
/** @typedef {{ type: "ack", to: string, mids: string[] }} AckLine */

/**
 * A line to the server.
 * @typedef {JoinLine | OwnCardLine | SendLine | TellLine | IdsLine | AckLine | { type: "leave" }
 *   } ClientLine
 */

// ---- The storage

/**
 * Changes that the storage does not have yet.
 * @typedef {object} Changes
 * @property {Set<Message>} messages
 * @property {Set<Conversation>} conversations
 * @property {Set<string>} cleared peers of which nothing older is kept any more
 * @property {string[]} mids mids of messages to us, to be known again
 * @property {Map<string, string[]>} acks mids to acknowledge once the changes are kept, by sender
 */

/** @typedef {Changes & { id: string }} Batch */

/**
 * The kept fields of a conversation. The others belong to one connection, or to one visit.
 * @typedef {Pick<Conversation, "peer" | "last" | "unread" | "seen" | "readTo" | "draft" |
 *   "accepted" | "blocked" | "hidden" | "keys">} KeptConversation
 */

/**
 * All that is kept of an id, except for most of its messages.
 * @typedef {object} Kept
 * @property {(KeptConversation & { tail: Message[] })[]} conversations the one with the latest
 *   event last; `tail` is its last message, if it has any
 * @property {OutgoingMessage[]} open our messages without a fate, in the order of their places
 * @property {string[]} mids mids of messages to us, the latest last
 */

/** @typedef {import("../../www/history.js").MessageHistory} MessageHistory */

// ---- The connection

/**
 * @typedef {object} Clock
 * @property {(call: () => void, ms: number) => number | undefined} setTimer
 * @property {(timer?: number) => void} clearTimer
 */

/**
 * @typedef {object} SocketOutside
 * @property {() => WebSocket} connect
 * @property {import("../../www/socket.js").Delay} delay
 * @property {Clock} clock
 * @property {() => void} opened
 * @property {(lines: ServerLine[]) => void} received is given all lines of one text; `applied`
 *   has to be called for each
 * @property {(code: number, wasOpen: boolean) => void} closed is given the close code
 * @property {() => boolean} awaitsAnswer returns true if the server has to answer a line
 * @property {() => void} probe says a line that the server answers
 */

/**
 * @typedef {object} TabOutside
 * @property {LockManager} [locks]
 * @property {(name: string) => Pick<BroadcastChannel, "onmessage" | "postMessage" | "close">
 *   } openChannel to the other tabs
 * @property {() => void} lost is called when another tab has taken the id
 * @property {Clock} clock
 */

// ---- Keys and trust

/**
 * The numbers of the messages that came from one identity.
 * @typedef {object} Ledger
 * @property {string} sign the identity
 * @property {number} got the highest number of a message
 * @property {[number, number][]} gaps numbers above the first and up to the second have not come
 * @property {number} signalled the highest number of a signal
 */

/**
 * The keys of a peer, as far as they are known.
 * @typedef {object} PeerKeys
 * @property {Ledger} [pin] the pinned identity
 * @property {Card} [card] the latest card of the pinned identity
 * @property {boolean} verified the pinned identity came by an invite link, or was compared
 * @property {Ledger} [other] another identity, until the reader has decided
 * @property {Card} [otherCard] a card of the other identity
 * @property {boolean} plain the reader writes plain text, though an identity is pinned
 * @property {number} numbered our latest number to the peer
 * @property {number} messaged the number of our latest message to the peer
 */

/** @typedef {{ card: Card, mids: string[] }} Lost */

/**
 * The way that a message has to go.
 * @typedef {{ kind: "plain" } | { kind: "sealed", card: Card }} OpenWay
 * @typedef {OpenWay | { kind: "wait" } | { kind: "refused", reason: Reason }} Way
 */

/**
 * - "plain": messages go as plain text.
 * - "sealed", "verified": they are sealed for the pinned identity.
 * - "changed": nothing goes until the reader has decided about another identity.
 * - "gone": the peer has no card any more, so nothing goes.
 * @typedef {"" | "plain" | "sealed" | "verified" | "changed" | "gone"} Safety
 */

/** @typedef {{ number?: number, typing?: boolean, read?: unknown, lost?: string[] }} Signal */

/**
 * A body that has to be sealed, for the line that is said with it.
 * @typedef {object} Sealing
 * @property {"message" | "signal"} kind
 * @property {Card} card the recipient's
 * @property {Content} content
 * @property {(sealed: SealedBody) => void} [done] is called when the line is said
 * @property {() => void} [failed] is called when it will not be
 */

/**
 * A body that came sealed: without content it could not be opened, without card it was not valid.
 * @typedef {{ card?: Card, content?: Content }} Opened
 */

/**
 * A seal key as the vault has it. Times are in seconds since 1970.
 * @typedef {object} KeptKey
 * @property {string} id
 * @property {string} seal the public part
 * @property {Uint8Array<ArrayBuffer>} secret
 * @property {number} made
 * @property {number} until
 * @property {number} hold the server's, in seconds
 */

/** @typedef {KeptKey & { pair: Pair }} SealKey */

/** @typedef {{ seed: string, key: string }} Restored the secrets that a recovery code stands for */

/**
 * @typedef {object} KeyringOutside
 * @property {import("../../www/remembered.js").Remembered} remembered
 * @property {import("../../www/vault.js").Vault} vault
 * @property {Clock} clock
 * @property {() => number} now
 * @property {boolean} hasCrypto
 * @property {() => void} renewed we have another card
 */

/**
 * @typedef {object} PostOutside
 * @property {import("../../www/keyring.js").Keyring} keyring
 * @property {Store} store
 * @property {{ say: (line: ClientLine) => void, applied: () => void }} socket
 */

// ---- The view

/**
 * A text without parameters.
 * @typedef {"accept" | "anotherId" | "away" | "back" | "block" | "cancel" | "chatWith" | "clear" | "close" | "code" | "codeMore" | "haveCode" | "keepKey" | "noCode" | "ownNumber" | "password" | "privateHere" | "linkPassword"
 *   | "showCode" | "aboutEncryption" | "encryption" | "writePlain" | "compare" | "verify" | "unverify"
 *   | "missing" | "late" | "forgeable" | "unopened" | "connected" | "connecting" | "conversations" | "copied" | "copyLink" | "delete"
 *   | "dismiss" | "draft" | "elsewhere" | "forget" | "isBlocked" | "join" | "keptHere" | "language" | "linkCode" | "message" | "messages" | "more" | "newHere"
 *   | "noConversation" | "noConversations" | "nobody" | "notify" | "notifyText" | "offline"
 *   | "online" | "open" | "own" | "remove" | "request" | "retry" | "send" | "settings"
 *   | "share" | "showAll" | "showLess" | "sound" | "tagline" | "tellRead" | "tellTyping"
 *   | "today" | "tryAgain" | "typing" | "unblock" | "unsupported" | "useHere" | "withdraw"
 *   | "yesterday" | "you" | "yourId"} PlainWord
 */

/** @typedef {"earlierMatch" | "endSearch" | "laterMatch" | "newer" | "notAll" | "reload"
 *   | "search" | "toEnd"} LogWord */

/**
 * A text with a number.
 * @typedef {"bytesLeft" | "bytesOver" | "newMessages" | "unread"} CountWord
 */

/**
 * A text with an id.
 * @typedef {"alike" | "blocked" | "clearAsk" | "elsewhereMore" | "forgetAsk" | "invited"
 *   | "isPeer" | "keyChanged" | "keyGone" | "leadsTo" | "newMessageFrom" | "otherKey" | "openPeer" | "removeAsk" | "staysBlocked" | "stranger" | "theirNumber"
 *   | "unreadable"} IdWord
 */

/**
 * The texts of one language.
 * @typedef {Record<PlainWord | LogWord, string> & Record<CountWord, (count: number) => string>
 *   & Record<IdWord, (id: string) => string> & {
 *   announce: (peer: string, text: string) => string,
 *   waits: (peer: string, since: string) => string,
 *   matches: (at: number, count: number) => string,
 *   notifying: Record<State["notifying"], string>,
 *   states: Record<Message["state"] | "read", string>,
 *   reconnecting: Record<Outage, string>,
 *   keptWhere: Record<ViewOutside["crypto"], string>,
 *   safety: Record<Safety, string>,
 *   safetyMore: Record<string, (id: string) => string>,
 *   reasons: Record<string, (reason: Reason) => string>,
 * }} Words
 */

/** @typedef {import("../../www/dates.js").Dates} Dates */

/**
 * The elements of index.html by their ids. A test holds this against the file.
 * @typedef {Record<"icon", HTMLLinkElement>
 *   & Record<"chatWith" | "notify" | "notifyText" | "ownCode" | "ownId" | "read" | "searchText" | "sound"
 *     | "linkPassword" | "ownPassword"
 *     | "typing", HTMLInputElement>
 *   & Record<"message", HTMLTextAreaElement>
 *   & Record<"code", SVGPathElement>
 *   & Record<"composer" | "joinForm" | "openForm" | "searchBar", HTMLFormElement>
 *   & Record<"about" | "ask" | "settings", HTMLDialogElement>
 *   & Record<"aboutBlock" | "accept" | "back" | "below" | "block" | "cancelJoin" | "clear"
 *     | "copyLink" | "dismiss" | "earlierMatch" | "endSearch" | "forget" | "haveCode" | "invite" | "keyNo" | "keyYes"
 *     | "laterMatch" | "more" | "openKnown" | "openSettings" | "openTyped" | "reload" | "remove"
 *     | "search" | "share" | "showCode" | "tryAgain" | "unblock" | "useAnother" | "useAnotherHere"
 *     | "useHere" | "verify", HTMLButtonElement>
 *   & Record<"aboutPeer" | "alert" | "alike" | "alikeText" | "announcer" | "blocked"
 *     | "blockedText" | "chat" | "codeMore" | "conversation" | "counter" | "doubt" | "elsewhere"
 *     | "elsewhereText" | "grown" | "invited" | "joinScreen" | "joinStatus" | "keptText" | "privateHere"
 *     | "keptWhere" | "keyQuestion" | "keyText" | "numbers" | "ownNumber" | "safety" | "shownCode"
 *     | "theirLabel" | "theirNumber"
 *     | "link" | "list" | "listEmpty" | "log" | "matches" | "me" | "newer" | "noneOpen"
 *     | "notice" | "notifyWhy" | "peer"
 *     | "presence" | "question" | "settingsTitle" | "status" | "stranger" | "strangerText",
 *     HTMLElement>} Elements
 */

/**
 * Gestures beyond the store. One that this browser does not support is missing.
 * @typedef {object} Actions
 * @property {(id: string, code: string, password: string) => void} join with a recovery code and
 *   the server's password, unless they are empty
 * @property {() => string} password returns the server's password, if it is known
 * @property {() => string} login returns our id, if a login elsewhere has said it
 * @property {() => Promise<string>} code returns our recovery code, if there is one
 * @property {() => Promise<string[]>} numbers returns our safety number, and that of the open peer
 * @property {() => void} persist asks the browser to keep the page's storage
 * @property {() => void} useHere
 * @property {() => void} forget
 * @property {(id: string) => string} linkOf returns the invite link of an id
 * @property {() => Promise<void>} [copyLink]
 * @property {() => void} [share]
 * @property {(on: boolean) => void} [notify]
 * @property {(on: boolean) => void} [sound]
 */

/**
 * @typedef {object} ViewOutside
 * @property {Store} store
 * @property {Words} words
 * @property {readonly string[]} languages as the reader prefers them
 * @property {Actions} actions
 * @property {"" | "http" | "old"} crypto why there is no encryption: the page came over http, or the
 *   browser is too old
 */

/**
 * @typedef {object} GesturesOutside
 * @property {Elements} ui
 * @property {Store} store
 * @property {Words} words
 * @property {Actions} actions
 * @property {(text: string) => void} open opens a conversation
 * @property {(peer: string) => void} choose opens one of the list
 * @property {() => void} typed is told of each change of a typed id
 * @property {import("../../www/log.js").Log} log
 * @property {(text: string) => void} announce reads a text out
 */

/**
 * @typedef {object} ListOutside
 * @property {Words} words
 * @property {Dates} dates
 * @property {(peer: string) => void} choose
 */

/**
 * @typedef {object} LogOutside
 * @property {Words} words
 * @property {Dates} dates
 * @property {() => string} me returns our id
 * @property {(message: OutgoingMessage) => void} retry
 * @property {(message: OutgoingMessage) => void} withdraw
 * @property {(message: Message) => void} seen the messages up to this one have been in view
 * @property {(count?: number) => void} loadEarlier
 * @property {(message: Message) => boolean} isMissing the message before this one has not come
 */

// ---- The service worker: the part of its types that is not known beside the DOM's

/**
 * @typedef {Event & { waitUntil: (work: Promise<unknown>) => void }} WorkerEvent
 */

/**
 * @typedef {object} WorkerEvents
 * @property {WorkerEvent} install
 * @property {WorkerEvent} activate
 * @property {WorkerEvent & { data: string }} message
 * @property {WorkerEvent & { notification: Notification }} notificationclick
 * @property {WorkerEvent & { request: Request, clientId: string, resultingClientId: string,
 *   respondWith: (response: Promise<Response>) => void }} fetch
 */

/**
 * @typedef {{ url: string, postMessage: (data: unknown) => void, focus: () => Promise<unknown> }}
 *   OpenPage
 */

/**
 * @typedef {object} WorkerScope
 * @property {<Name extends keyof WorkerEvents>(name: Name,
 *   hear: (event: WorkerEvents[Name]) => void) => void} addEventListener
 * @property {() => void} skipWaiting
 * @property {{ claim: () => Promise<void>, openWindow: (url: string) => Promise<unknown>,
 *   matchAll: (wanted: object) => Promise<OpenPage[]> }} clients
 */

/**
 * @typedef {{ createPolicy: (name: string, rules: { createScriptURL: (url: string) => string })
 *   => { createScriptURL: (url: string) => string } }} TrustedTypes
 */

// ---- Sealing

/** @typedef {Uint8Array<ArrayBuffer>} Bytes */

/**
 * A pair of keys of X25519 (RFC 7748).
 * @typedef {{ secret: Uint8Array<ArrayBuffer>, public: Uint8Array<ArrayBuffer>, key: CryptoKey }
 *   } Pair
 */

/**
 * An identity of ours: its public part, the key with which its id is joined, and its private part.
 * @typedef {{ sign: string, key: string, signer: CryptoKey }} IdentityKeys
 */

/**
 * A card: an identity, and its seal key until a time in seconds since 1970; signed.
 * @typedef {{ v: 1, sign: string, seal: string, until: number, by: string }} Card
 */

/** @typedef {{ sealed: 1, card: Card, for: string, enc: string, box: string }} SealedBody */

/**
 * The content of a sealed message or signal, each with its own fields.
 * @typedef {{ number: number, after?: number, got?: number, body?: unknown, was?: string }
 *   & Signal} Content
 */

/**
 * @typedef {object} BodyToSeal
 * @property {"message" | "signal"} kind
 * @property {string} from
 * @property {string} to
 * @property {Card} card ours
 * @property {Pair} pair ours, of the card
 * @property {Pick<Card, "sign" | "seal">} recipient
 * @property {Content} content
 * @property {Pair} [ephemeral] made anew, but in tests
 */

/**
 * @typedef {object} BodyToOpen
 * @property {"message" | "signal"} kind
 * @property {string} from
 * @property {string} to
 * @property {any} body unknown, from JSON
 * @property {string} sign our identity
 * @property {(seal: string) => Pair | undefined} pairOf returns our pair with this public part
 */
