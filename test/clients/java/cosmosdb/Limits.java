package cosmosdb;

import static cosmosdb.Account.doc;
import static cosmosdb.Account.fails;
import static cosmosdb.Runner.check;
import static cosmosdb.Runner.equal;
import static cosmosdb.Runner.holds;

import com.azure.cosmos.CosmosAsyncContainer;
import com.azure.cosmos.CosmosClientBuilder;
import com.azure.cosmos.CosmosContainer;
import com.azure.cosmos.CosmosException;
import com.azure.cosmos.GlobalThroughputControlConfig;
import com.azure.cosmos.ThrottlingRetryOptions;
import com.azure.cosmos.ThroughputControlGroupConfig;
import com.azure.cosmos.ThroughputControlGroupConfigBuilder;
import com.azure.cosmos.models.CosmosBulkOperations;
import com.azure.cosmos.models.CosmosContainerProperties;
import com.azure.cosmos.models.CosmosItemOperation;
import com.azure.cosmos.models.CosmosItemResponse;
import com.azure.cosmos.models.PartitionKey;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.function.IntFunction;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** What holds clients back or keeps them out: request units, keys, TLS. */
final class Limits {
    private Limits() {}

    static void add() {
        check("more than the request units: the client waits and succeeds", Limits::waits);
        check("more than the request units in a bulk: the client waits and succeeds", Limits::bulk);
        check("more than the request units, without retries", Limits::refused);
        check("a part of the throughput, kept by one client", Limits::local);
        check("a part of the throughput, shared by clients through a container", Limits::global);
        check("a wrong key", Limits::wrongKey);
    }

    /** Checks over plain HTTP, which the client must be allowed. */
    static void plain() {
        check("without TLS", () -> {
            CosmosContainer c = Account.create("plain");
            c.createItem(doc(1));
            equal(Account.count(c), 1L, "items");
        });
    }

    private static ObjectNode large(int i) {
        return doc(i).put("filler", "x".repeat(4000));
    }

    /** An item of some 50 RU: on the slowest machine too, 400 RU/s are soon used up. */
    private static ObjectNode huge(int i) {
        return doc(i).put("filler", "x".repeat(100_000));
    }

    private static CosmosAsyncContainer small(String name, CosmosClientBuilder builder) {
        Account.create(new CosmosContainerProperties(name, "/deviceId"), 400);
        return Runner.closing(builder.buildAsyncClient()).getDatabase(Account.DATABASE).getContainer(name);
    }

    /** Creates items, all at once, and returns their charges, or minus the status of those refused. */
    private static List<Double> create(CosmosAsyncContainer c, int first, int n, IntFunction<ObjectNode> item) {
        return Flux.range(first, n).flatMap(i -> c.createItem(item.apply(i)).map(CosmosItemResponse::getRequestCharge)
            .onErrorResume(CosmosException.class, err -> {
                equal(err.getSubStatusCode(), 3200, "sub-status");
                holds(!err.getRetryAfterDuration().isZero(), "no time to retry after");
                return Mono.just(-1.0 * err.getStatusCode());
            }), n).collectList().block();
    }

    private static void waits() {
        CosmosAsyncContainer c = small("throttled", Account.builder());
        // The first wave leaves a debt, which the second one meets, if not itself.
        List<CosmosItemResponse<ObjectNode>> both = new ArrayList<>();
        for (int first : List.of(0, 20)) {
            both.addAll(Flux.range(first, 20).flatMap(i -> c.createItem(huge(i)), 20).collectList().block());
        }
        equal(both.size(), 40, "both waves");
        holds(both.stream().anyMatch(r -> r.getDiagnostics().toString().contains("\"statusCode\":429")), "nobody was refused: " + both.get(39).getDiagnostics());
        equal(Account.count(Account.opened("throttled")), 40L, "items");
    }

    private static void bulk() {
        CosmosAsyncContainer c = small("throttled-bulk", Account.builder());
        Flux<CosmosItemOperation> all = Flux.range(0, 120).map(i -> CosmosBulkOperations.getUpsertItemOperation(large(i), new PartitionKey(Account.device(i)), i));
        List<Integer> got = c.<Integer>executeBulkOperations(all).map(one -> one.getResponse() == null ? 0 : one.getResponse().getStatusCode()).collectList().block();
        equal(got.size(), 120, "answers");
        holds(got.stream().allMatch(s -> s == 201), "" + got);
    }

    private static void refused() {
        CosmosClientBuilder impatient = Account.builder().throttlingRetryOptions(new ThrottlingRetryOptions().setMaxRetryAttemptsOnThrottledRequests(0));
        CosmosAsyncContainer c = small("refused-units", impatient);
        List<Double> got = new ArrayList<>();
        long refused = 0;
        // On a slow machine all of a wave may be let in before the first is
        // charged; the next one then meets the debt.
        for (int first = 0; first < 1500 && refused == 0; first += 150) {
            got.addAll(create(c, first, 150, Limits::large));
            refused = got.stream().filter(d -> d == -429).count();
        }
        holds(refused > 0 && refused < got.size(), refused + " refused of " + got.size());
        equal(got.stream().filter(d -> d > 0).count() + refused, (long) got.size(), "all");
        equal(Account.count(Account.opened("refused-units")), got.size() - refused, "items");
    }

    private static void local() {
        // The service would let all of it in at once.
        Account.create("controlled");
        CosmosAsyncContainer c = Account.openedAsync("controlled");
        c.enableLocalThroughputControlGroup(new ThroughputControlGroupConfigBuilder().groupName("half").targetThroughput(200).defaultControlGroup(true).build());
        long started = System.nanoTime();
        double sum = 0;
        // The client knows what requests cost when they are answered, so all of
        // them at once would get in.
        for (int round = 0; round < 8; round++) {
            List<Double> charges = create(c, round * 10, 10, Limits::large);
            holds(charges.stream().allMatch(d -> d > 0), "" + charges);
            sum += charges.stream().mapToDouble(d -> d).sum();
        }
        double seconds = (System.nanoTime() - started) / 1e9;
        holds(sum > 600 && seconds > 1, sum + " RU within " + seconds + " s");
    }

    private static void global() {
        CosmosAsyncContainer c = small("controlled-by-all", Account.builder());
        CosmosContainerProperties control = new CosmosContainerProperties("control", "/groupId").setDefaultTimeToLiveInSeconds(-1);
        Account.create(control, 1000);
        GlobalThroughputControlConfig where = Runner.closing(Account.builder().buildAsyncClient())
            .createGlobalThroughputControlConfigBuilder(Account.DATABASE, "control").setControlItemRenewInterval(Duration.ofSeconds(5))
            .setControlItemExpireInterval(Duration.ofSeconds(11)).build();
        ThroughputControlGroupConfig group = new ThroughputControlGroupConfigBuilder().groupName("spark").targetThroughputThreshold(0.9).defaultControlGroup(true).build();
        c.enableGlobalThroughputControlGroup(group, where);
        List<Double> charges = create(c, 0, 10, Limits::large);
        holds(charges.stream().allMatch(d -> d > 0), "" + charges);
        holds(Account.count(Account.opened("control")) >= 2, "no items of control: " + Account.count(Account.opened("control")));
    }

    private static void wrongKey() throws Exception {
        fails(401, "(?i)authorization token", () -> Runner.closing(Account.builder().key("YW5vdGhlciBrZXk=").buildClient()).getDatabase("x").read());
    }
}
