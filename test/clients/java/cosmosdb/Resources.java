package cosmosdb;

import static cosmosdb.Account.fails;
import static cosmosdb.Runner.check;
import static cosmosdb.Runner.equal;
import static cosmosdb.Runner.holds;

import com.azure.cosmos.CosmosClient;
import com.azure.cosmos.CosmosContainer;
import com.azure.cosmos.CosmosDatabase;
import com.azure.cosmos.models.CosmosContainerProperties;
import com.azure.cosmos.models.CosmosContainerRequestOptions;
import com.azure.cosmos.models.CosmosQueryRequestOptions;
import com.azure.cosmos.models.ExcludedPath;
import com.azure.cosmos.models.IncludedPath;
import com.azure.cosmos.models.IndexingPolicy;
import com.azure.cosmos.models.ThroughputProperties;
import com.azure.cosmos.models.UniqueKey;
import com.azure.cosmos.models.UniqueKeyPolicy;
import java.util.List;

/** Databases, containers, throughput and partition key ranges. */
final class Resources {
    private Resources() {}

    static void add() {
        check("databases are created, read, listed, queried and deleted", Resources::databases);
        check("containers are created, read, listed, queried, replaced and deleted", Resources::containers);
        check("a container keeps all of its settings", Resources::settings);
        check("throughput is read and replaced", Resources::throughput);
        check("throughput of a database, and that which scales", Resources::shared);
        check("a container has a feed range for every physical range", Resources::ranges);
        check("a container that is made anew is another one", Resources::anew);
    }

    private static void databases() throws Exception {
        CosmosClient client = Account.connect();
        String id = "Java's database, é";
        equal(client.createDatabase(id).getStatusCode(), 201, "created");
        equal(client.createDatabaseIfNotExists(id).getStatusCode(), 200, "there already");
        fails(409, "(?i)exists", () -> client.createDatabase(id));
        CosmosDatabase db = client.getDatabase(id);
        holds(db.read().getProperties().getETag() != null, "no etag");
        holds(client.readAllDatabases().stream().anyMatch(d -> d.getId().equals(id)), "not listed");
        equal(client.queryDatabases("SELECT * FROM d WHERE d.id = \"" + id + "\"", new CosmosQueryRequestOptions())
            .stream().map(d -> d.getId()).toList(), List.of(id), "queried");
        equal(db.delete().getStatusCode(), 204, "deleted");
        equal(fails(404, "", db::read).getSubStatusCode(), 0, "sub-status");
        fails(404, "", db::delete);
    }

    private static void containers() throws Exception {
        CosmosContainer c = Account.create("resources");
        CosmosDatabase db = Account.connect().getDatabase(Account.DATABASE);
        fails(409, "(?i)exists", () -> db.createContainer("resources", "/deviceId"));
        equal(db.createContainerIfNotExists("resources", "/deviceId").getStatusCode(), 200, "there already");
        holds(db.readAllContainers().stream().anyMatch(p -> p.getId().equals("resources")), "not listed");
        equal(db.queryContainers("SELECT * FROM r WHERE r.id = 'resources'").stream().map(p -> p.getId()).toList(),
            List.of("resources"), "queried");
        CosmosContainerProperties properties = c.read().getProperties();
        equal(properties.getDefaultTimeToLiveInSeconds(), null, "time to live");
        properties.setDefaultTimeToLiveInSeconds(500);
        equal(c.replace(properties).getProperties().getDefaultTimeToLiveInSeconds(), 500, "time to live, replaced");
        equal(Account.opened("resources").read().getProperties().getDefaultTimeToLiveInSeconds(), 500, "time to live, read");
        equal(c.delete().getStatusCode(), 204, "deleted");
        fails(404, "", c::read);
    }

    private static void settings() {
        CosmosContainerProperties want = new CosmosContainerProperties("settings", "/deviceId");
        want.setIndexingPolicy(new IndexingPolicy().setExcludedPaths(List.of(new ExcludedPath("/*")))
            .setIncludedPaths(List.of(new IncludedPath("/type/?"), new IncludedPath("/deviceId/?"), new IncludedPath("/createdAt/?"))));
        want.setUniqueKeyPolicy(new UniqueKeyPolicy().setUniqueKeys(List.of(new UniqueKey(List.of("/eventId")))));
        want.setDefaultTimeToLiveInSeconds(-1);
        CosmosContainerProperties got = Account.create(want, 10_000).read().getProperties();
        equal(got.getPartitionKeyDefinition().getPaths(), List.of("/deviceId"), "partition key");
        equal(got.getPartitionKeyDefinition().getVersion().toString(), "V2", "its version");
        equal(got.getIndexingPolicy().getIncludedPaths().stream().map(IncludedPath::getPath).sorted().toList(),
            List.of("/createdAt/?", "/deviceId/?", "/type/?"), "included");
        holds(got.getIndexingPolicy().getExcludedPaths().stream().anyMatch(p -> p.getPath().equals("/*")), "excluded");
        equal(got.getUniqueKeyPolicy().getUniqueKeys().get(0).getPaths(), List.of("/eventId"), "unique");
        equal(got.getDefaultTimeToLiveInSeconds(), -1, "time to live");
    }

    private static void throughput() throws Exception {
        CosmosContainer c = Account.create(new CosmosContainerProperties("throughput", "/deviceId"), 400);
        equal(c.readThroughput().getProperties().getManualThroughput(), 400, "as created");
        equal(c.replaceThroughput(ThroughputProperties.createManualThroughput(1200)).getProperties().getManualThroughput(), 1200, "replaced");
        equal(Account.opened("throughput").readThroughput().getProperties().getManualThroughput(), 1200, "read again");
        fails(400, "(?i)throughput", () -> c.replaceThroughput(ThroughputProperties.createManualThroughput(450)));
    }

    private static void shared() throws Exception {
        CosmosClient client = Account.connect();
        client.createDatabase("java-shared", ThroughputProperties.createAutoscaledThroughput(4000));
        CosmosDatabase db = client.getDatabase("java-shared");
        equal(db.readThroughput().getProperties().getAutoscaleMaxThroughput(), 4000, "of the database");
        db.createContainer("sharing", "/pk");
        fails(400, "(?i)throughput|offer", () -> db.getContainer("sharing").readThroughput());
        db.createContainer(new CosmosContainerProperties("own", "/pk"), ThroughputProperties.createAutoscaledThroughput(2000));
        equal(db.getContainer("own").readThroughput().getProperties().getAutoscaleMaxThroughput(), 2000, "of the container");
        db.delete();
    }

    private static void ranges() {
        CosmosContainer c = Account.create("ranges");
        equal(c.getFeedRanges().size(), 4, "feed ranges");
        var usage = c.read(new CosmosContainerRequestOptions().setQuotaInfoEnabled(true)).getResponseHeaders();
        holds(usage.getOrDefault("x-ms-resource-usage", "").contains("documentsCount=0;"), "usage: " + usage.get("x-ms-resource-usage"));
    }

    private static void anew() throws Exception {
        CosmosContainer c = Account.create("anew");
        c.createItem(Account.doc(1));
        Account.opened("anew").delete();
        Account.create(new CosmosContainerProperties("anew", "/other"), 400);
        // The first client still knows the container that is gone.
        equal(Account.count(c), 0L, "items of the new one");
        c.upsertItem(Account.doc(1).put("other", "x"));
        equal(Account.count(c), 1L, "items of the new one");
        equal(c.getFeedRanges().size(), 1, "its feed ranges");
    }
}
