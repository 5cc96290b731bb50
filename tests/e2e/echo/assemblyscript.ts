import { Context, Document, Mapped, Mapper, Outcome, Output, Refusal, because, run } from "./sdk/crossdock";

class Echo extends Mapper {
  toCanonical(context: Context, document: Document): Mapped {
    throw new Refusal(because("no-good", "it is no good"));
  }

  acknowledge(context: Context, outcomes: Outcome[]): Output | null {
    let lines = context.receiver + "\n";
    for (let n = 0; n < outcomes.length; n++) {
      const ended = outcomes[n];
      const codes = ended.diagnostics.map<string>((found) => found.textOf("code")).join(",");
      lines += `${ended.unit} ${ended.envelope.length} ${ended.accepted} ${ended.more[0].value} ${codes}\n`;
    }
    return new Output("text/plain", lines);
  }
}

run(new Echo());
