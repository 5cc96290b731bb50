import { mapper, refuse, type Mapped } from "./sdk/crossdock";

export const { toCanonical, fromCanonical, acknowledge } = mapper({
  toCanonical(): Mapped {
    return refuse("no-good", "it is no good");
  },

  acknowledge(context, outcomes) {
    const lines = outcomes.map(({ part, accepted, more, diagnostics }) => {
      const codes = diagnostics.map(({ code }) => code).join(",");
      return `${part.unit} ${part.envelope.length} ${accepted} ${more[0][1]} ${codes}\n`;
    });
    return { mediaType: "text/plain", content: `${context.receiver}\n${lines.join("")}` };
  },
});
