import crossdock.Crossdock.*

fun main(arguments: Array<String>) = run(Echo, arguments)

object Echo : Mapper {
    override fun toCanonical(context: Context, document: Document): Mapped =
        throw Refusal("no-good", "it is no good", null)

    override fun acknowledge(context: Context, outcomes: List<Outcome>): Output {
        val lines = outcomes.map { ended ->
            val codes = ended.diagnostics.joinToString(",") { it.textOf("code") }
            "${ended.unit} ${ended.envelope.length} ${ended.accepted} ${ended.more[0].value} $codes\n"
        }
        return Output("text/plain", (context.receiver + "\n" + lines.joinToString("")).encodeToByteArray())
    }
}
