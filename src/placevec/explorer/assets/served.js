// A page that is served asks its own server, on this machine, for queries in words. Static pages do not contain this.

function buildAsking(section) {
  const input = element("input", { type: "text", maxLength: 500, placeholder: "a park by the sea", "aria-label": "Places in words", id: "ask" });
  const run = action("Ask", ask), said = element("p", { className: "doubt", hidden: true, role: "status" });
  section.insertBefore(element("div", { className: "ask" }, input, run), section.children[1]);
  section.append(said);
  input.addEventListener("keydown", (event) => { if (event.key === "Enter") ask(); });

  async function ask() {
    const text = input.value.trim();
    if (!text || run.disabled) return;
    const asked = wordQueries.find((one) => one.text === text);
    if (asked) { setWords(asked); return; }
    run.disabled = true;
    said.hidden = true;
    try {
      const reply = await fetch("/words", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ text }) });
      const found = await reply.json();
      if (found.error) throw new Error(found.error);
      const query = readQuery(found);
      wordQueries.push(query);
      setWords(query);
      changed("queries");
    } catch (error) {
      said.textContent = error instanceof TypeError ? "The server does not answer: is placevec explore --serve still running?" : error.message;
      said.hidden = false;
    }
    run.disabled = false;
  }
}
