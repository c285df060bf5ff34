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
 * @typedef {"" | "restarting" | "full" | "busy" | "unreachable"} Outage
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
 * @typedef {object} Content
 * @property {string} peer
 * @property {number} place orders a conversation: no two messages of it have the same
 * @property {unknown} body any JSON value, because strangers choose it
 * @property {number} at in ms since 1970
 * @property {boolean} [cleared] the message must not be kept any more
 */

/**
 * A message to us.
 * @typedef {Content & { mine: false, state: "received", mid: string }} IncomingMessage
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
 */

/**
 * A message of ours.
 * @typedef {Content & OutgoingFields} OutgoingMessage
 */

/** @typedef {IncomingMessage | OutgoingMessage} Message */

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
 */

/** @typedef {Record<"read" | "typing" | "notify" | "notifyText" | "sound", boolean>} Settings */

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
 * @property {boolean} outdated the server has a newer page
 * @property {"" | "asked" | NotificationPermission} notifying the browser's permission to notify,
 *   once the reader has asked for it
 * @property {Reason | null} alert a notice that waits for the reader's attention
 * @property {boolean} online the browser reports a network
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
 * @property {(line: ClientLine) => void} say gives a line to the socket
 * @property {(arrived: IncomingMessage[]) => void} changed is told of each change, and of the
 *   messages that arrived with it
 * @property {(id: string, take: boolean) => void} prepare claims the id for this tab, with `take`
 *   also from another one, and asks the storage about it: `restored` or `claimedElsewhere` answers
 * @property {(peer: string, before: number, count: number) => void} load asks the storage for the
 *   last messages before a place: `loaded` answers
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
 * @property {(line: ClientLine) => void} say
 * @property {(peer: string, before: number, count: number) => void} load
 * @property {() => number} now
 * @property {(call: () => void, ms: number) => void} later
 * @property {() => void} changed is told of changes that no call of the store has made
 */

/** @typedef {Pick<PartOutside, "later" | "changed">} IdentityOutside */
/**
 * @typedef {Pick<StoreOutside, "say" | "newRef"> & Pick<PartOutside, "unsaved"> & {
 *   isOnline: (peer: string) => boolean, isExpected: (peer: string) => boolean }} OutgoingOutside
 */

// ---- Lines, as the protocol has them

/**
 * @typedef {{ type: "joined", resumed: boolean, max_message: number, ownership?: string }} JoinedLine
 */
/**
 * @typedef {{ type: "message", from: string, body: unknown, mid: string, at: number }} MessageLine
 */
/** @typedef {{ type: "sent", ref: string, mid: string, at: number }} SentLine */
/** @typedef {{ type: "delivered", from: string, mids: string[] }} DeliveredLine */
/** @typedef {{ type: "expired", to: string, mids: string[] }} ExpiredLine */
/** @typedef {{ type: "signal", from: string, body: unknown }} SignalLine */
/** @typedef {{ type: "presence", id: string, online: boolean }} PresenceLine */
/** @typedef {{ type: "error", code: string, ref?: string, to?: string, text: string }} ErrorLine */

/**
 * A line of the server, with the keys that the page reads.
 * @typedef {JoinedLine | MessageLine | SentLine | DeliveredLine | ExpiredLine | SignalLine
 *   | PresenceLine | ErrorLine} ServerLine
 */

/** @typedef {{ type: "send", to: string, body: unknown, ref: string }} SendLine */
/** @typedef {{ type: "join", id: string, key: string }} JoinLine */
/** @typedef {{ type: "signal", to: string, body: { typing: true } | { read: string } }} TellLine */
/** @typedef {{ type: "watch" | "unwatch" | "block" | "unblock", ids: string[] }} IdsLine */
/** @typedef {{ type: "ack", to: string, mids: string[] }} AckLine */

/**
 * A line to the server.
 * @typedef {JoinLine | SendLine | TellLine | IdsLine | AckLine | { type: "leave" }} ClientLine
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
 *   "accepted" | "blocked" | "hidden">} KeptConversation
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
 * @property {(lines: ServerLine[]) => void} received is given all lines of one text
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

// ---- The view

/**
 * A text without parameters.
 * @typedef {"accept" | "anotherId" | "away" | "back" | "block" | "cancel" | "chatWith" | "clear"
 *   | "close" | "connected" | "connecting" | "conversations" | "copied" | "copyLink" | "delete"
 *   | "dismiss" | "draft" | "elsewhere" | "forget" | "isBlocked" | "join" | "keptHere"
 *   | "keptWhere" | "language" | "linkCode" | "message" | "messages" | "more" | "newHere"
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
 *   | "leadsTo" | "newMessageFrom" | "openPeer" | "removeAsk" | "staysBlocked" | "stranger"} IdWord
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
 *   reasons: Record<string, (reason: Reason) => string>,
 * }} Words
 */

/** @typedef {import("../../www/dates.js").Dates} Dates */

/**
 * The elements of index.html by their ids. A test holds this against the file.
 * @typedef {Record<"icon", HTMLLinkElement>
 *   & Record<"chatWith" | "notify" | "notifyText" | "ownId" | "read" | "searchText" | "sound"
 *     | "typing", HTMLInputElement>
 *   & Record<"message", HTMLTextAreaElement>
 *   & Record<"code", SVGPathElement>
 *   & Record<"composer" | "joinForm" | "openForm" | "searchBar", HTMLFormElement>
 *   & Record<"about" | "ask" | "settings", HTMLDialogElement>
 *   & Record<"aboutBlock" | "accept" | "back" | "below" | "block" | "cancelJoin" | "clear"
 *     | "copyLink" | "dismiss" | "earlierMatch" | "endSearch" | "forget" | "invite"
 *     | "laterMatch" | "more" | "openKnown" | "openSettings" | "openTyped" | "reload" | "remove"
 *     | "search" | "share" | "tryAgain" | "unblock" | "useAnother" | "useAnotherHere"
 *     | "useHere", HTMLButtonElement>
 *   & Record<"aboutPeer" | "alert" | "alike" | "alikeText" | "announcer" | "blocked"
 *     | "blockedText" | "chat" | "conversation" | "counter" | "doubt" | "elsewhere"
 *     | "elsewhereText" | "grown" | "invited" | "joinScreen" | "joinStatus" | "keptText"
 *     | "link" | "list" | "listEmpty" | "log" | "matches" | "me" | "newer" | "noneOpen"
 *     | "notice" | "notifyWhy" | "peer"
 *     | "presence" | "question" | "settingsTitle" | "status" | "stranger" | "strangerText",
 *     HTMLElement>} Elements
 */

/**
 * Gestures beyond the store. One that this browser does not support is missing.
 * @typedef {object} Actions
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
