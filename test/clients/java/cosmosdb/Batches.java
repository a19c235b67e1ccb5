package cosmosdb;

import static cosmosdb.Account.fails;
import static cosmosdb.Account.object;
import static cosmosdb.Runner.check;
import static cosmosdb.Runner.equal;
import static cosmosdb.Runner.holds;

import com.azure.cosmos.CosmosContainer;
import com.azure.cosmos.models.CosmosBatch;
import com.azure.cosmos.models.CosmosBatchItemRequestOptions;
import com.azure.cosmos.models.CosmosBatchOperationResult;
import com.azure.cosmos.models.CosmosBatchResponse;
import com.azure.cosmos.models.CosmosBulkItemRequestOptions;
import com.azure.cosmos.models.CosmosBulkOperationResponse;
import com.azure.cosmos.models.CosmosBulkOperations;
import com.azure.cosmos.models.CosmosItemOperation;
import com.azure.cosmos.models.CosmosPatchOperations;
import com.azure.cosmos.models.PartitionKey;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.IntFunction;

/** Transactional batches, and the bulk executor, through which Spark's connector writes as well. */
final class Batches {
    private static final PartitionKey KEY = new PartitionKey("d1");

    private Batches() {}

    static void add() {
        check("a batch is done as a whole", Batches::whole);
        check("a batch that fails changes nothing", Batches::nothing);
        check("too large a batch", Batches::large);
        check("bulks of 20000 items: upserted, upserted again, created, patched, deleted", 300, Batches::bulk);
        check("what cannot be done in a bulk", Batches::mixed);
    }

    private static CosmosBatch batch() {
        return CosmosBatch.createCosmosBatch(KEY);
    }

    private static List<Integer> statuses(CosmosBatchResponse response) {
        return response.getResults().stream().map(CosmosBatchOperationResult::getStatusCode).toList();
    }

    private static void whole() {
        CosmosContainer c = Account.create("batches");
        c.createItem(object("{'id':'old','deviceId':'d1','n':1}"));
        CosmosBatch b = batch();
        b.createItemOperation(object("{'id':'a','deviceId':'d1'}"));
        b.upsertItemOperation(object("{'id':'b','deviceId':'d1'}"));
        b.replaceItemOperation("old", object("{'id':'old','deviceId':'d1','n':2}"));
        b.patchItemOperation("old", CosmosPatchOperations.create().increment("/n", 5L));
        b.readItemOperation("old");
        b.deleteItemOperation("a");
        CosmosBatchResponse got = c.executeCosmosBatch(b);
        holds(got.isSuccessStatusCode(), "status " + got.getStatusCode() + ": " + got.getErrorMessage());
        equal(statuses(got), List.of(201, 201, 200, 200, 200, 204), "statuses");
        equal(got.getResults().get(4).getItem(ObjectNode.class).get("n").asInt(), 7, "n as the batch reads it");
        double sum = got.getResults().stream().mapToDouble(CosmosBatchOperationResult::getRequestCharge).sum();
        holds(Math.abs(sum - got.getRequestCharge()) < 0.1, "charges " + sum + " and " + got.getRequestCharge());
        equal(c.readItem("old", KEY, ObjectNode.class).getETag(), got.getResults().get(3).getETag(), "etag");
    }

    private static void nothing() throws Exception {
        CosmosContainer c = Account.create("nothing");
        c.createItem(object("{'id':'there','deviceId':'d1'}"));
        CosmosBatch conflict = batch();
        conflict.createItemOperation(object("{'id':'new','deviceId':'d1'}"));
        conflict.createItemOperation(object("{'id':'there','deviceId':'d1'}"));
        conflict.deleteItemOperation("there");
        CosmosBatchResponse got = c.executeCosmosBatch(conflict);
        equal(got.getStatusCode(), 409, "status of the whole");
        equal(statuses(got), List.of(424, 409, 424), "statuses");
        CosmosBatch stale = batch();
        stale.upsertItemOperation(object("{'id':'new','deviceId':'d1'}"));
        stale.deleteItemOperation("there", new CosmosBatchItemRequestOptions().setIfMatchETag("\"stale\""));
        equal(statuses(c.executeCosmosBatch(stale)), List.of(424, 412), "statuses");
        fails(404, "", () -> c.readItem("new", KEY, ObjectNode.class));
        equal(Account.count(c), 1L, "items");
    }

    private static void large() throws Exception {
        CosmosContainer c = Account.create("large");
        CosmosBatch many = batch();
        CosmosBatch big = batch();
        for (int i = 0; i < 101; i++) {
            many.upsertItemOperation(object("{'id':'" + i + "','deviceId':'d1'}"));
        }
        for (int i = 0; i < 3; i++) {
            big.upsertItemOperation(object("{'id':'" + i + "','deviceId':'d1'}").put("text", "x".repeat(800_000)));
        }
        holds(status(c, many) == 400, "100 operations are the limit");
        holds(status(c, big) == 413, "2 MB are the limit");
    }

    private static int status(CosmosContainer c, CosmosBatch b) {
        try {
            return c.executeCosmosBatch(b).getStatusCode();
        } catch (com.azure.cosmos.CosmosException refused) {
            return refused.getStatusCode();
        }
    }

    /** Runs n operations, and returns how often there was each status. */
    private static Map<Integer, Integer> run(CosmosContainer c, int n, IntFunction<CosmosItemOperation> operation) {
        List<CosmosItemOperation> all = new ArrayList<>(n);
        for (int i = 0; i < n; i++) {
            all.add(operation.apply(i));
        }
        Map<Integer, Integer> statuses = new TreeMap<>();
        for (CosmosBulkOperationResponse<Integer> one : c.<Integer>executeBulkOperations(all)) {
            if (one.getResponse() == null) {
                throw new AssertionError("operation " + one.getBatchContext(), one.getException());
            }
            int status = one.getResponse().getStatusCode();
            statuses.merge(status, 1, Integer::sum);
            holds(one.getResponse().getRequestCharge() > 0, "an operation is free: " + status);
            if (status == 201) {
                ObjectNode stored = one.getResponse().getItem(ObjectNode.class);
                equal(stored == null ? null : stored.get("n").asInt(), one.getBatchContext(), "the item of an operation");
            }
        }
        return statuses;
    }

    private static PartitionKey key(int i) {
        return new PartitionKey("device-" + i % 500);
    }

    private static ObjectNode event(int i) {
        return Account.doc(i).put("deviceId", "device-" + i % 500).put("filler", "x".repeat(300));
    }

    private static void bulk() {
        CosmosContainer c = Account.create("bulk");
        int n = 20_000;
        equal(run(c, n, i -> CosmosBulkOperations.getUpsertItemOperation(event(i), key(i), i)), Map.of(201, n), "upserted");
        equal(Account.count(c), (long) n, "items");
        equal(run(c, n, i -> CosmosBulkOperations.getUpsertItemOperation(event(i), key(i), i)), Map.of(200, n), "upserted again");
        equal(Account.count(c), (long) n, "items");
        equal(run(c, n + 1000, i -> CosmosBulkOperations.getCreateItemOperation(event(i + 500), key(i), i + 500)), Map.of(409, n - 500, 201, 1500), "created");
        equal(Account.count(c), n + 1500L, "items");
        CosmosPatchOperations patch = CosmosPatchOperations.create().increment("/n", 1_000_000L).remove("/filler");
        equal(run(c, 2000, i -> CosmosBulkOperations.getPatchItemOperation("" + i, key(i), patch, i)), Map.of(200, 2000), "patched");
        equal(run(c, 2000, i -> CosmosBulkOperations.getReadItemOperation("" + i, key(i), i)), Map.of(200, 2000), "read");
        equal(c.readItem("77", key(77), ObjectNode.class).getItem().get("n").asInt(), 1_000_077, "n");
        equal(run(c, 2500, i -> CosmosBulkOperations.getDeleteItemOperation("" + (i + 500), key(i), i)), Map.of(204, 2500), "deleted");
        equal(Account.count(c), n - 1000L, "items");
    }

    private static void mixed() {
        CosmosContainer c = Account.create("mixed");
        String etag = c.createItem(object("{'id':'1','deviceId':'d1','n':1}")).getETag();
        CosmosBulkItemRequestOptions stale = new CosmosBulkItemRequestOptions().setIfMatchETag("\"stale\"");
        List<CosmosItemOperation> all = List.of(
            CosmosBulkOperations.getCreateItemOperation(object("{'id':'1','deviceId':'d1'}"), KEY, 0),
            CosmosBulkOperations.getDeleteItemOperation("none", KEY, 1),
            CosmosBulkOperations.getReplaceItemOperation("1", object("{'id':'1','deviceId':'d1'}"), KEY, stale, 2),
            CosmosBulkOperations.getUpsertItemOperation(object("{'id':'2','deviceId':'d2'}"), KEY, 3),
            CosmosBulkOperations.getReadItemOperation("none", KEY, 4),
            CosmosBulkOperations.getUpsertItemOperation(object("{'id':'2','deviceId':'d1'}"), KEY, 5));
        Integer[] got = new Integer[all.size()];
        for (CosmosBulkOperationResponse<Integer> one : c.<Integer>executeBulkOperations(all)) {
            got[one.getBatchContext()] = one.getResponse() == null ? 0 : one.getResponse().getStatusCode();
        }
        equal(List.of(got), List.of(409, 404, 412, 400, 404, 201), "statuses");
        equal(c.readItem("1", KEY, ObjectNode.class).getETag(), etag, "etag");
    }
}
