package cosmosdb;

import static cosmosdb.Account.doc;
import static cosmosdb.Account.fails;
import static cosmosdb.Account.numbers;
import static cosmosdb.Account.upTo;
import static cosmosdb.Runner.check;
import static cosmosdb.Runner.equal;
import static cosmosdb.Runner.holds;

import com.azure.cosmos.ChangeFeedProcessor;
import com.azure.cosmos.ChangeFeedProcessorBuilder;
import com.azure.cosmos.CosmosAsyncContainer;
import com.azure.cosmos.CosmosContainer;
import com.azure.cosmos.implementation.changefeed.common.ChangeFeedState;
import com.azure.cosmos.models.ChangeFeedProcessorOptions;
import com.azure.cosmos.models.CosmosChangeFeedRequestOptions;
import com.azure.cosmos.models.CosmosContainerProperties;
import com.azure.cosmos.models.FeedRange;
import com.azure.cosmos.models.FeedResponse;
import com.azure.cosmos.models.PartitionKey;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ConcurrentHashMap;

/** The change feed: by feed range, of the whole container, and shared between workers. */
final class Changes {
    private Changes() {}

    static void add() {
        check("changes from the beginning, and on from there by another client", Changes::whole);
        check("changes of each feed range", Changes::ranges);
        check("where the change feed of a range stands, and how much there is in it", Changes::position);
        check("changes from a time", Changes::since);
        check("changes of a partition key", Changes::key);
        check("all versions and deletes are refused", Changes::versions);
        check("two processors share the ranges by leases", Changes::processors);
    }

    private record Read(List<ObjectNode> items, String token) {}

    private static CosmosContainer full(String name, int n) {
        CosmosContainer c = Account.create(name);
        for (int i = 0; i < n; i++) {
            c.createItem(doc(i));
        }
        return c;
    }

    /** Reads until there is nothing new. */
    private static Read read(CosmosContainer c, CosmosChangeFeedRequestOptions options) {
        List<ObjectNode> all = new ArrayList<>();
        String token = null;
        for (FeedResponse<ObjectNode> page : c.queryChangeFeed(options, ObjectNode.class).iterableByPage()) {
            all.addAll(page.getResults());
            token = page.getContinuationToken();
        }
        return new Read(all, token);
    }

    private static CosmosChangeFeedRequestOptions beginning(FeedRange range) {
        return CosmosChangeFeedRequestOptions.createForProcessingFromBeginning(range).setMaxItemCount(7);
    }

    private static CosmosChangeFeedRequestOptions from(String token) {
        return CosmosChangeFeedRequestOptions.createForProcessingFromContinuation(token);
    }

    private static void whole() {
        CosmosContainer c = full("changes", 60);
        Read first = read(c, beginning(FeedRange.forFullRange()));
        equal(numbers(first.items), upTo(60), "from the beginning");
        holds(first.items.stream().allMatch(d -> d.get("_lsn").asLong() > 0), "without _lsn");
        c.replaceItem(doc(1).put("n", 101), "1", new PartitionKey(Account.device(1)), null);
        c.upsertItem(doc(2).put("n", 102));
        c.upsertItem(doc(2).put("n", 103));
        c.deleteItem("3", new PartitionKey(Account.device(3)), null);
        c.createItem(doc(60));
        Read next = read(Account.opened("changes"), from(first.token));
        equal(numbers(next.items), List.of(60, 101, 103), "only the latest versions");
        equal(read(Account.opened("changes"), from(next.token)).items.size(), 0, "nothing new");
    }

    private static void ranges() {
        CosmosContainer c = full("changes-ranges", 60);
        List<ObjectNode> all = new ArrayList<>();
        for (FeedRange range : c.getFeedRanges()) {
            Read got = read(c, beginning(range));
            holds(!got.items.isEmpty(), "an empty range");
            List<Long> order = got.items.stream().map(d -> d.get("_lsn").asLong()).toList();
            equal(order, order.stream().sorted().toList(), "order");
            all.addAll(got.items);
        }
        equal(numbers(all), upTo(60), "items");
    }

    /** What Spark's connector plans its tasks with. */
    private static void position() {
        CosmosContainer c = full("changes-position", 60);
        for (FeedRange range : c.getFeedRanges()) {
            long last = read(c, beginning(range)).items.stream().mapToLong(d -> d.get("_lsn").asLong()).max().orElse(0);
            CosmosChangeFeedRequestOptions now = CosmosChangeFeedRequestOptions.createForProcessingFromNow(range).setMaxItemCount(1);
            now.setQuotaInfoEnabled(true);
            FeedResponse<ObjectNode> page = c.queryChangeFeed(now, ObjectNode.class).iterableByPage().iterator().next();
            equal(page.getResults().size(), 0, "items from now on");
            String position = ChangeFeedState.fromString(page.getContinuationToken()).getContinuation().getCurrentContinuationToken().getToken();
            holds(position.matches("\"\\d+\""), "position " + position);
            holds(Long.parseLong(position.substring(1, position.length() - 1)) >= last, position + " is before " + last);
            String usage = page.getResponseHeaders().getOrDefault("x-ms-resource-usage", "");
            holds(usage.matches(".*documentsSize=\\d+;documentsCount=\\d+;.*"), "usage " + usage);
        }
    }

    private static void since() throws Exception {
        CosmosContainer c = full("changes-time", 6);
        Thread.sleep(2100); // the header has whole seconds
        Instant time = Instant.ofEpochSecond(Instant.now().getEpochSecond());
        c.upsertItem(doc(1).put("n", 100));
        equal(numbers(read(c, CosmosChangeFeedRequestOptions.createForProcessingFromPointInTime(time, FeedRange.forFullRange())).items), List.of(100), "from a time");
    }

    private static void key() {
        CosmosContainer c = full("changes-key", 60);
        FeedRange mine = FeedRange.forLogicalPartition(new PartitionKey(Account.device(0)));
        Read got = read(c, beginning(mine));
        equal(numbers(got.items), upTo(60).stream().filter(i -> i % 6 == 0).toList(), "of a key");
        c.upsertItem(doc(1).put("n", 1000));
        c.upsertItem(doc(6).put("n", 1006));
        equal(numbers(read(c, from(got.token)).items), List.of(1006), "of a key, later");
    }

    private static void versions() throws Exception {
        CosmosContainer c = full("changes-versions", 1);
        fails(400, "", () -> read(c, CosmosChangeFeedRequestOptions.createForProcessingFromNow(FeedRange.forFullRange()).allVersionsAndDeletes()));
    }

    private static ChangeFeedProcessor processor(String host, ConcurrentHashMap<Integer, String> seen) {
        CosmosAsyncContainer feed = Account.openedAsync("processed");
        CosmosAsyncContainer leases = feed.getDatabase().getContainer("leases");
        return new ChangeFeedProcessorBuilder().hostName(host).feedContainer(feed).leaseContainer(leases)
            .options(new ChangeFeedProcessorOptions().setStartFromBeginning(true).setFeedPollDelay(Duration.ofMillis(200))
                .setLeaseAcquireInterval(Duration.ofMillis(500)))
            .handleLatestVersionChanges(changes -> changes.forEach(change -> {
                JsonNode item = change.getCurrent();
                seen.put(item.get("n").asInt(), host);
            })).buildChangeFeedProcessor();
    }

    private static void until(int count, ConcurrentHashMap<Integer, String> seen) throws InterruptedException {
        while (seen.size() < count) {
            Thread.sleep(50);
        }
        equal(seen.size(), count, "changes seen");
    }

    private static void processors() throws Exception {
        CosmosContainer c = full("processed", 60);
        Account.create(new CosmosContainerProperties("leases", "/id"), 10_000);
        ConcurrentHashMap<Integer, String> seen = new ConcurrentHashMap<>();
        ChangeFeedProcessor first = processor("first", seen);
        first.start().block();
        until(60, seen);
        ChangeFeedProcessor second = processor("second", seen);
        second.start().block();
        for (int i = 60; !seen.containsValue("second"); i++) {
            c.createItem(doc(i));
            until(i + 1, seen);
        }
        first.stop().block();
        second.stop().block();
    }
}
