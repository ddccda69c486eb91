/* Search without a server. Browsers start no Worker from file://, so there its script runs in a hidden frame of its own. */
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(address) {
      super()
      this.waiting = []
      this.frame = document.createElement("iframe")
      this.frame.hidden = true
      this.frame.title = "search"
      this.frame.srcdoc = "<!doctype html><title>search</title>"
      this.frame.addEventListener("load", () => this.start(new URL(address, location.href).href), { once: true })
      document.body.append(this.frame)
    }

    start(address) {
      const inside = this.frame.contentWindow
      const load = source =>
        new Promise((done, failed) => {
          const script = inside.document.createElement("script")
          script.src = source
          script.onload = done
          script.onerror = failed
          inside.document.body.append(script)
        })
      inside.postMessage = data => this.dispatchEvent(new MessageEvent("message", { data })) // what the script sends
      inside.importScripts = (...sources) => sources.reduce((before, one) => before.then(() => load(one)), Promise.resolve())
      load(address).then(() => {
        this.inside = inside
        for (const data of this.waiting) this.deliver(data)
      })
    }

    deliver(data) {
      this.inside.dispatchEvent(new this.inside.MessageEvent("message", { data }))
    }

    postMessage(data) {
      this.inside ? this.deliver(data) : this.waiting.push(data)
    }
  }
}
