package cosmosdb;

import com.azure.cosmos.ConsistencyLevel;
import com.azure.cosmos.CosmosAsyncContainer;
import com.azure.cosmos.CosmosClient;
import com.azure.cosmos.CosmosClientBuilder;
import com.azure.cosmos.CosmosContainer;
import com.azure.cosmos.CosmosException;
import com.azure.cosmos.models.CosmosContainerProperties;
import com.azure.cosmos.models.CosmosQueryRequestOptions;
import com.azure.cosmos.models.ThroughputProperties;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The account under test, clients for it, and what checks make in it. */
final class Account {
    static final ObjectMapper JSON = new ObjectMapper();
    /** Enough for four physical partition key ranges, and for no check to be throttled. */
    static final int FOUR_RANGES = 40_000;
    /** Devices whose keys lie in all of four ranges, two in the first and in the last. */
    static final List<String> DEVICES = List.of("device-4", "device-11", "device-2", "device-1", "device-0", "device-6");
    static final String DATABASE = "java";

    private static final String CONNECTION = Runner.need("COSMOSDB_CONNECTION_STRING");

    private Account() {}

    /**
     * Makes the authority in a PEM file the only one that this program trusts.
     * To be called before the first client is made.
     */
    static void trust(Path authority) throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        try (InputStream in = Files.newInputStream(authority)) {
            store.setCertificateEntry("authority", CertificateFactory.getInstance("X.509").generateCertificate(in));
        }
        Path file = authority.resolveSibling("trusted.p12");
        try (OutputStream out = Files.newOutputStream(file)) {
            store.store(out, "changeit".toCharArray());
        }
        System.setProperty("javax.net.ssl.trustStore", file.toString());
        System.setProperty("javax.net.ssl.trustStorePassword", "changeit");
        System.setProperty("javax.net.ssl.trustStoreType", "PKCS12");
    }

    private static String part(String name) {
        Matcher m = Pattern.compile(name + "=([^;]*)").matcher(CONNECTION);
        Runner.holds(m.find(), "no " + name + " in the connection string");
        return m.group(1);
    }

    static CosmosClientBuilder builder() {
        return new CosmosClientBuilder().endpoint(part("AccountEndpoint")).key(part("AccountKey")).gatewayMode()
            .consistencyLevel(ConsistencyLevel.SESSION).contentResponseOnWriteEnabled(true);
    }

    /** A client that is closed when the check is over. */
    static CosmosClient connect() {
        return Runner.closing(builder().buildClient());
    }

    /** Creates a container in the program's database. */
    static CosmosContainer create(CosmosContainerProperties properties, int throughput) {
        CosmosClient client = connect();
        client.createDatabaseIfNotExists(DATABASE);
        client.getDatabase(DATABASE).createContainer(properties, ThroughputProperties.createManualThroughput(throughput));
        return client.getDatabase(DATABASE).getContainer(properties.getId());
    }

    static CosmosContainer create(String name) {
        return create(new CosmosContainerProperties(name, "/deviceId"), FOUR_RANGES);
    }

    /** A container that is there, by another client. */
    static CosmosContainer opened(String name) {
        return connect().getDatabase(DATABASE).getContainer(name);
    }

    /** The same by a client without blocking calls. */
    static CosmosAsyncContainer openedAsync(String name) {
        return Runner.closing(builder().buildAsyncClient()).getDatabase(DATABASE).getContainer(name);
    }

    static ObjectNode doc(int i) {
        return JSON.createObjectNode().put("id", "" + i).put("deviceId", device(i)).put("n", i)
            .put("type", i % 3 == 0 ? "CO2" : "TEMP");
    }

    static String device(int i) {
        return DEVICES.get(i % DEVICES.size());
    }

    static ObjectNode object(String json) {
        try {
            return (ObjectNode) JSON.readTree(json.replace('\'', '"'));
        } catch (com.fasterxml.jackson.core.JsonProcessingException wrong) {
            throw new AssertionError(json, wrong);
        }
    }

    static List<Integer> numbers(Iterable<? extends JsonNode> docs) {
        List<Integer> all = new java.util.ArrayList<>();
        docs.forEach(d -> all.add(d.get("n").asInt()));
        all.sort(null);
        return all;
    }

    static List<Integer> upTo(int n) {
        return java.util.stream.IntStream.range(0, n).boxed().toList();
    }

    static long count(CosmosContainer c) {
        return c.queryItems("SELECT VALUE COUNT(1) FROM c", new CosmosQueryRequestOptions(), Long.class).iterator().next();
    }

    /** Asserts that something fails with a status and a message. */
    static CosmosException fails(int status, String pattern, Runner.Work work) throws Exception {
        try {
            work.run();
        } catch (Exception err) {
            Throwable cause = err;
            while (cause != null && !(cause instanceof CosmosException)) {
                cause = cause.getCause();
            }
            if (!(cause instanceof CosmosException refused)) {
                throw err;
            }
            if (refused.getStatusCode() != status) {
                throw new AssertionError("status " + refused.getStatusCode() + ", want " + status, refused);
            }
            if (!Pattern.compile(pattern).matcher(refused.getMessage()).find()) {
                throw new AssertionError("want something like " + pattern, refused);
            }
            return refused;
        }
        throw new AssertionError("no error, want " + status);
    }
}
