import static crossdock.Crossdock.*;

import crossdock.Json;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.stream.Collectors;

public class Main implements Mapper {
    public static void main(String[] arguments) {
        run(new Main(), arguments);
    }

    @Override
    public Mapped toCanonical(Context context, Document document) {
        throw new Refusal("no-good", "it is no good", null);
    }

    @Override
    public Output acknowledge(Context context, List<Outcome> outcomes) {
        StringBuilder lines = new StringBuilder(context.receiver).append('\n');
        for (Outcome ended : outcomes) {
            String codes = ended.diagnostics.stream().map(found -> found.textOf("code")).collect(Collectors.joining(","));
            lines.append(ended.unit + " " + ended.envelope.length() + " " + ended.accepted + " ");
            lines.append(ended.more.get(0).value + " " + codes + "\n");
        }
        return new Output("text/plain", lines.toString().getBytes(StandardCharsets.UTF_8));
    }
}
