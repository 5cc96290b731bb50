import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Duration;

/** Fetches files from Maven Central: a list of digests and paths, and the folder that they go to. */
public class Fetch {
    private static final String CENTRAL = "https://repo1.maven.org/maven2/";

    public static void main(String[] arguments) throws Exception {
        HttpClient client = HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(30)).build();
        for (String line : Files.readAllLines(Path.of(arguments[0]))) {
            if (line.isBlank()) {
                continue;
            }
            String[] parts = line.trim().split("\\s+", 2);
            HttpRequest request = HttpRequest.newBuilder(URI.create(CENTRAL + parts[1])).timeout(Duration.ofMinutes(5)).build();
            HttpResponse<byte[]> answer = client.send(request, HttpResponse.BodyHandlers.ofByteArray());
            if (answer.statusCode() != 200) {
                throw new IOException(CENTRAL + parts[1] + " answered " + answer.statusCode());
            }
            StringBuilder digest = new StringBuilder();
            for (byte each : MessageDigest.getInstance("SHA-256").digest(answer.body())) {
                digest.append(String.format("%02x", each));
            }
            if (!digest.toString().equals(parts[0])) {
                throw new IOException(parts[1] + " is not the file that is pinned: its SHA-256 is " + digest);
            }
            Files.write(Path.of(arguments[1], Path.of(parts[1]).getFileName().toString()), answer.body());
        }
    }
}
