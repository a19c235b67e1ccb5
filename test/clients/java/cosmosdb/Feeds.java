package cosmosdb;

import static cosmosdb.Account.fails;
import static cosmosdb.Account.numbers;
import static cosmosdb.Account.upTo;
import static cosmosdb.Runner.check;
import static cosmosdb.Runner.equal;
import static cosmosdb.Runner.holds;

import com.azure.cosmos.CosmosAsyncContainer;
import com.azure.cosmos.CosmosContainer;
import com.azure.cosmos.implementation.ImplementationBridgeHelpers.CosmosAsyncContainerHelper;
import com.azure.cosmos.models.CosmosBatch;
import com.azure.cosmos.models.CosmosQueryRequestOptions;
import com.azure.cosmos.models.FeedRange;
import com.azure.cosmos.models.FeedResponse;
import com.azure.cosmos.models.PartitionKey;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/**
 * Results in pages: their sizes, continuation by other clients, feed ranges and
 * parts of them. Spark's connector reads so: a task for a part of a feed range.
 */
final class Feeds {
    private static final int COUNT = 240;
    private static boolean filled;

    private Feeds() {}

    static void add() {
        check("pages of one logical partition, each by a new client", () -> inPages("SELECT * FROM c ORDER BY c.n DESC", Account.DEVICES.get(0)));
        check("pages over all ranges, each by a new client", () -> inPages("SELECT * FROM c WHERE c.n >= 0", null));
        check("sorted pages over all ranges, each by a new client", () -> inPages("SELECT * FROM c ORDER BY c.n", null));
        check("queries of feed ranges", Feeds::ofRanges);
        check("queries of parts of feed ranges", Feeds::ofParts);
        check("filters, projections and counts of feed ranges", Feeds::filtered);
        check("a query's metrics", Feeds::metrics);
        check("a continuation that is none", Feeds::noContinuation);
    }

    static CosmosContainer full() {
        if (!filled) {
            CosmosContainer c = Account.create("feeds");
            for (int device = 0; device < Account.DEVICES.size(); device++) {
                CosmosBatch batch = CosmosBatch.createCosmosBatch(new PartitionKey(Account.device(device)));
                for (int i = device; i < COUNT; i += Account.DEVICES.size()) {
                    batch.createItemOperation(Account.doc(i));
                }
                holds(c.executeCosmosBatch(batch).isSuccessStatusCode(), "the batch fails");
            }
            filled = true;
        }
        return Account.opened("feeds");
    }

    private static void inPages(String query, String key) {
        List<ObjectNode> seen = new ArrayList<>();
        String token = null;
        int pages = 0;
        do {
            CosmosQueryRequestOptions options = new CosmosQueryRequestOptions();
            if (key != null) {
                options.setPartitionKey(new PartitionKey(key));
            }
            FeedResponse<ObjectNode> page = full().queryItems(query, options, ObjectNode.class).iterableByPage(token, 33).iterator().next();
            holds(page.getResults().size() <= 33, "a page of " + page.getResults().size());
            seen.addAll(page.getResults());
            token = page.getContinuationToken();
            pages++;
        } while (token != null);
        equal(numbers(seen), upTo(COUNT).stream().filter(i -> key == null || Account.device(i).equals(key)).toList(), "items");
        if (query.contains("ORDER BY")) {
            List<Integer> inOrder = new ArrayList<>(seen.stream().map(d -> d.get("n").asInt()).toList());
            if (query.contains("DESC")) {
                Collections.reverse(inOrder);
            }
            equal(inOrder, numbers(seen), "order");
        }
        holds(pages >= seen.size() / 33, pages + " pages");
    }

    private static List<ObjectNode> of(CosmosContainer c, FeedRange range, String query) {
        List<ObjectNode> all = new ArrayList<>();
        CosmosQueryRequestOptions options = new CosmosQueryRequestOptions().setFeedRange(range);
        c.queryItems(query, options, ObjectNode.class).iterableByPage(25).forEach(page -> all.addAll(page.getResults()));
        return all;
    }

    private static void ofRanges() {
        CosmosContainer c = full();
        List<ObjectNode> seen = new ArrayList<>();
        for (FeedRange range : c.getFeedRanges()) {
            List<ObjectNode> got = of(c, FeedRange.fromString(range.toString()), "SELECT * FROM c");
            holds(!got.isEmpty(), "an empty range");
            seen.addAll(got);
        }
        equal(numbers(seen), upTo(COUNT), "items");
        FeedRange mine = FeedRange.forLogicalPartition(new PartitionKey(Account.device(3)));
        equal(of(c, mine, "SELECT * FROM c").size(), COUNT / Account.DEVICES.size(), "items of a key");
        equal(of(c, FeedRange.forFullRange(), "SELECT * FROM c").size(), COUNT, "items of the full range");
    }

    private static List<FeedRange> parts(int n) {
        full();
        CosmosAsyncContainer c = Account.openedAsync("feeds");
        List<FeedRange> all = new ArrayList<>();
        for (FeedRange range : c.getFeedRanges().block()) {
            all.addAll(CosmosAsyncContainerHelper.getCosmosAsyncContainerAccessor().trySplitFeedRange(c, range, n).block());
        }
        return all;
    }

    private static void ofParts() {
        CosmosContainer c = full();
        List<FeedRange> parts = parts(3);
        equal(parts.size(), 12, "parts");
        List<ObjectNode> seen = new ArrayList<>();
        int filledParts = 0;
        for (FeedRange part : parts) {
            List<ObjectNode> got = of(c, part, "SELECT * FROM c");
            filledParts += got.isEmpty() ? 0 : 1;
            seen.addAll(got);
        }
        equal(numbers(seen), upTo(COUNT), "items");
        holds(filledParts >= 4, "all in " + filledParts + " parts");
    }

    private static void filtered() {
        CosmosContainer c = full();
        List<ObjectNode> co2 = new ArrayList<>();
        List<ObjectNode> sorted = new ArrayList<>();
        long counted = 0;
        for (FeedRange part : parts(2)) {
            co2.addAll(of(c, part, "SELECT r['id'], r['n'] FROM r WHERE (r['type'] = 'CO2' AND r['n'] < 100)"));
            List<Integer> mine = of(c, part, "SELECT * FROM c ORDER BY c.n").stream().map(d -> d.get("n").asInt()).toList();
            equal(mine, mine.stream().sorted().toList(), "order");
            counted += c.queryItems("SELECT VALUE COUNT(1) FROM c", new CosmosQueryRequestOptions().setFeedRange(part), Long.class).iterator().next();
        }
        equal(numbers(co2), upTo(100).stream().filter(i -> i % 3 == 0).toList(), "filtered");
        equal(counted, (long) COUNT, "counted");
        equal(co2.get(0).size(), 2, "members");
    }

    private static void metrics() {
        CosmosQueryRequestOptions options = new CosmosQueryRequestOptions().setQueryMetricsEnabled(true).setIndexMetricsEnabled(true)
            .setPartitionKey(new PartitionKey(Account.device(0)));
        FeedResponse<ObjectNode> page = full().queryItems("SELECT * FROM c WHERE c.n = 6", options, ObjectNode.class).iterableByPage().iterator().next();
        equal(numbers(page.getResults()), List.of(6), "items");
        holds(page.getRequestCharge() >= 2, "charge " + page.getRequestCharge());
        holds(page.getCosmosDiagnostics().toString().contains("retrievedDocumentCount"), page.getCosmosDiagnostics().toString());
    }

    private static void noContinuation() throws Exception {
        CosmosQueryRequestOptions options = new CosmosQueryRequestOptions().setPartitionKey(new PartitionKey(Account.device(0)));
        fails(400, "", () -> full().queryItems("SELECT * FROM c", options, ObjectNode.class).iterableByPage("not one of yours").iterator().next());
    }
}
