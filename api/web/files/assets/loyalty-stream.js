// Server-sent events, as they come over a fetch: an EventSource can send no token.

/** EventStream reads server-sent events out of bytes that come in pieces of any size (HTML Living Standard, section 9.2.6). */
export class EventStream {
  /** lastEventId is the id to come back with; retry is after how many milliseconds, null until the server says. */
  lastEventId = "";
  retry = null;
  #dispatch;
  #decoder = new TextDecoder();
  #line = "";
  #afterCR = false;
  #type = "";
  #data = "";
  #id = "";

  /** dispatch is called with {type, data, lastEventId} for each event. */
  constructor(dispatch, lastEventId = "") {
    this.#dispatch = dispatch;
    this.lastEventId = this.#id = lastEventId;
  }

  /** push takes the next piece. It throws a RangeError for a line or an event of more than 4 Mi characters, which no dashboard has. */
  push(bytes) {
    let text = this.#decoder.decode(bytes, { stream: true });
    if (text === "") return;
    if (this.#afterCR && text.startsWith("\n")) text = text.slice(1);
    this.#afterCR = text.endsWith("\r");
    let start = 0;
    for (const end of text.matchAll(/\r\n|\r|\n/g)) {
      this.#take(this.#line + text.slice(start, end.index));
      this.#line = "";
      start = end.index + end[0].length;
    }
    this.#line += text.slice(start);
    if (this.#line.length + this.#data.length > longestEvent) throw new RangeError("an event too long for a dashboard");
  }

  #take(line) {
    if (line === "") return this.#end();
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    let value = colon < 0 ? "" : line.slice(colon + 1);
    if (value.startsWith(" ")) value = value.slice(1);
    if (field === "data") this.#data += value + "\n";
    else if (field === "event") this.#type = value;
    else if (field === "id" && !value.includes("\0")) this.#id = value;
    else if (field === "retry" && /^[0-9]+$/.test(value)) this.retry = Number(value);
  }

  #end() {
    this.lastEventId = this.#id;
    const data = this.#data;
    const type = this.#type || "message";
    this.#data = this.#type = "";
    if (data !== "") this.#dispatch({ type, data: data.slice(0, -1), lastEventId: this.lastEventId });
  }
}

const longestEvent = 4 << 20;
