package cosmosdb;

import static cosmosdb.Account.fails;
import static cosmosdb.Account.object;
import static cosmosdb.Runner.check;
import static cosmosdb.Runner.equal;
import static cosmosdb.Runner.holds;

import com.azure.cosmos.CosmosContainer;
import com.azure.cosmos.models.CosmosContainerProperties;
import com.azure.cosmos.models.CosmosItemIdentity;
import com.azure.cosmos.models.CosmosItemRequestOptions;
import com.azure.cosmos.models.CosmosItemResponse;
import com.azure.cosmos.models.CosmosPatchItemRequestOptions;
import com.azure.cosmos.models.CosmosPatchOperations;
import com.azure.cosmos.models.CosmosQueryRequestOptions;
import com.azure.cosmos.models.PartitionKey;
import com.azure.cosmos.models.PartitionKeyBuilder;
import com.azure.cosmos.models.PartitionKeyDefinition;
import com.azure.cosmos.models.PartitionKeyDefinitionVersion;
import com.azure.cosmos.models.PartitionKind;
import com.azure.cosmos.models.UniqueKey;
import com.azure.cosmos.models.UniqueKeyPolicy;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.List;

/** Single items, and those read by their ids. */
final class Items {
    private static final PartitionKey KEY = new PartitionKey("d1");

    private Items() {}

    static void add() {
        check("an item is created, read, replaced, upserted and deleted", Items::lives);
        check("conditions on etags", Items::conditions);
        check("an item is patched", Items::patched);
        check("ids and texts of all kinds", Items::texts);
        check("partition keys of all kinds", Items::keys);
        check("hierarchical partition keys", Items::hierarchy);
        check("many items are read by their ids", Items::many);
        check("all items of a partition key", Items::wholeKey);
        check("unique keys", Items::unique);
        check("what is not accepted", Items::refused);
    }

    private static void lives() throws Exception {
        CosmosContainer c = Account.create("items");
        ObjectNode item = object("{'id':'1','deviceId':'d1','n':1}");
        CosmosItemResponse<ObjectNode> created = c.createItem(item, KEY, null);
        equal(created.getStatusCode(), 201, "created");
        holds(created.getRequestCharge() > 4 && created.getETag().startsWith("\"") && !created.getSessionToken().isEmpty(),
            created.getRequestCharge() + " " + created.getETag() + " " + created.getSessionToken());
        equal(created.getItem().get("_etag").asText(), created.getETag(), "etag");
        equal(fails(409, "(?i)exists", () -> c.createItem(item, KEY, null)).getSubStatusCode(), 0, "sub-status");
        CosmosItemResponse<ObjectNode> read = Account.opened("items").readItem("1", KEY, ObjectNode.class);
        equal(read.getItem(), created.getItem(), "read");
        equal(read.getRequestCharge(), 1.0, "charge of reading");
        equal(c.replaceItem(item.put("n", 2), "1", KEY, null).getStatusCode(), 200, "replaced");
        equal(c.upsertItem(item.put("n", 3)).getStatusCode(), 200, "upserted over it");
        equal(c.upsertItem(object("{'id':'2','deviceId':'d1'}")).getStatusCode(), 201, "upserted");
        equal(c.readItem("1", KEY, ObjectNode.class).getItem().get("n").asInt(), 3, "n");
        equal(c.deleteItem("1", KEY, null).getStatusCode(), 204, "deleted");
        fails(404, "", () -> c.readItem("1", KEY, ObjectNode.class));
        fails(404, "", () -> c.deleteItem("1", KEY, null));
        fails(404, "", () -> c.replaceItem(item, "1", KEY, null));
        var minimal = c.createItem(item, KEY, new CosmosItemRequestOptions().setContentResponseOnWriteEnabled(false));
        equal(minimal.getItem(), null, "an answer without the item");
        equal(minimal.getStatusCode(), 201, "its status");
    }

    private static void conditions() throws Exception {
        CosmosContainer c = Account.create("conditions");
        ObjectNode item = object("{'id':'1','deviceId':'d1','n':1}");
        String etag = c.createItem(item).getETag();
        equal(c.readItem("1", KEY, new CosmosItemRequestOptions().setIfNoneMatchETag(etag), ObjectNode.class).getStatusCode(), 304, "unchanged");
        CosmosItemRequestOptions same = new CosmosItemRequestOptions().setIfMatchETag(etag);
        String next = c.replaceItem(item.put("n", 2), "1", KEY, same).getETag();
        holds(!next.equals(etag), "the etag stays");
        fails(412, "", () -> c.replaceItem(item.put("n", 3), "1", KEY, same));
        fails(412, "", () -> c.upsertItem(item, KEY, same));
        fails(412, "", () -> c.deleteItem("1", KEY, same));
        equal(c.readItem("1", KEY, ObjectNode.class).getItem().get("n").asInt(), 2, "n");
        c.deleteItem("1", KEY, new CosmosItemRequestOptions().setIfMatchETag(next));
    }

    private static void patched() throws Exception {
        CosmosContainer c = Account.create("patched");
        c.createItem(object("{'id':'1','deviceId':'d1','n':1,'list':[1,3],'gone':true,'old':{'a':1}}"));
        CosmosPatchOperations operations = CosmosPatchOperations.create().add("/list/1", 2).set("/text", "é").replace("/old/a", 5)
            .increment("/n", 4L).increment("/n", 0.5).remove("/gone").move("/old", "/moved");
        ObjectNode got = c.patchItem("1", KEY, operations, ObjectNode.class).getItem();
        for (String name : List.of("_rid", "_self", "_etag", "_ts", "_attachments")) {
            got.remove(name);
        }
        equal(got, object("{'id':'1','deviceId':'d1','n':5.5,'list':[1,2,3],'text':'é','moved':{'a':5}}"), "patched");
        CosmosPatchOperations more = CosmosPatchOperations.create().set("/n", 0);
        fails(412, "", () -> c.patchItem("1", KEY, more, new CosmosPatchItemRequestOptions().setFilterPredicate("from c where c.n > 100"), ObjectNode.class));
        equal(c.patchItem("1", KEY, more, new CosmosPatchItemRequestOptions().setFilterPredicate("from c where c.n > 5"), ObjectNode.class)
            .getStatusCode(), 200, "the condition holds");
        fails(404, "", () -> c.patchItem("none", KEY, more, ObjectNode.class));
        fails(400, "", () -> c.patchItem("1", KEY, CosmosPatchOperations.create().replace("/missing", 1), ObjectNode.class));
    }

    private static void texts() throws Exception {
        CosmosContainer c = Account.create("texts");
        for (String id : List.of("with spaces", "é 漢 \uD83D\uDE00", "a+b&c=d;e,f", "100%", "%41", "it's \"quoted\"", "<tag>", "x".repeat(255))) {
            ObjectNode item = object("{'deviceId':'d1'}").put("id", id).put("text", id + "\u0000\u2028\n\t\\\uFFFD");
            c.createItem(item);
            equal(c.readItem(id, KEY, ObjectNode.class).getItem().get("text"), item.get("text"), id);
            c.replaceItem(item.put("n", 1), id, KEY, null);
            c.deleteItem(id, KEY, null);
        }
        fails(400, "", () -> c.createItem(object("{'deviceId':'d1','id':'a/b'}")));
    }

    private static void keys() {
        CosmosContainer c = Account.create("keys");
        record Case(PartitionKey key, String json) {}
        for (Case one : List.of(new Case(new PartitionKey("é 漢"), "'é 漢'"), new Case(new PartitionKey(12.5), "12.5"), new Case(new PartitionKey(-7), "-7"),
            new Case(new PartitionKey(true), "true"), new Case(PartitionKey.NONE, ""), new Case(new PartitionKey(""), "''"),
            new Case(new PartitionKeyBuilder().addNullValue().build(), "null"))) {
            ObjectNode item = object("{'id':'1'" + (one.json.isEmpty() ? "" : ",'deviceId':" + one.json) + "}");
            equal(c.createItem(item).getStatusCode(), 201, "the key taken from the item: " + one.json);
            equal(c.upsertItem(item, one.key, null).getStatusCode(), 200, "the key given: " + one.json);
            equal(c.readItem("1", one.key, ObjectNode.class).getItem().get("deviceId"), item.get("deviceId"), one.json);
            if (one.key == PartitionKey.NONE) {
                continue; // the client asks for the items of all keys
            }
            CosmosQueryRequestOptions mine = new CosmosQueryRequestOptions().setPartitionKey(one.key);
            equal(c.queryItems("SELECT * FROM c", mine, ObjectNode.class).stream().count(), 1L, "items of " + one.json);
        }
        equal(Account.count(c), 7L, "items");
    }

    private static void hierarchy() {
        PartitionKeyDefinition definition = new PartitionKeyDefinition();
        definition.setPaths(List.of("/tenant", "/user", "/session")).setKind(PartitionKind.MULTI_HASH).setVersion(PartitionKeyDefinitionVersion.V2);
        CosmosContainer c = Account.create(new CosmosContainerProperties("hierarchy", definition), Account.FOUR_RANGES);
        for (int i = 0; i < 60; i++) {
            c.createItem(object("{'id':'" + i + "','tenant':'t" + i % 3 + "','user':'u" + i % 12 + "','session':" + i + ",'n':" + i + "}"));
        }
        PartitionKey whole = new PartitionKeyBuilder().add("t1").add("u4").add(16).build();
        equal(c.readItem("16", whole, ObjectNode.class).getItem().get("n").asInt(), 16, "read");
        PartitionKey tenant = new PartitionKeyBuilder().add("t1").build();
        PartitionKey user = new PartitionKeyBuilder().add("t1").add("u4").build();
        equal(c.queryItems("SELECT * FROM c", new CosmosQueryRequestOptions().setPartitionKey(tenant), ObjectNode.class).stream().count(), 20L, "of a tenant");
        equal(Account.numbers(c.queryItems("SELECT * FROM c ORDER BY c.n", new CosmosQueryRequestOptions().setPartitionKey(user), ObjectNode.class)),
            List.of(4, 16, 28, 40, 52), "of a user");
        equal(c.queryItems("SELECT * FROM c WHERE c.tenant = 't2'", null, ObjectNode.class).stream().count(), 20L, "by a filter");
    }

    private static void many() {
        CosmosContainer c = Account.create("many");
        List<CosmosItemIdentity> ids = new ArrayList<>();
        for (int i = 0; i < 120; i++) {
            c.createItem(Account.doc(i));
            ids.add(new CosmosItemIdentity(new PartitionKey(Account.device(i)), "" + i));
        }
        ids.add(new CosmosItemIdentity(new PartitionKey("nowhere"), "5"));
        equal(Account.numbers(c.readMany(ids, ObjectNode.class).getResults()), Account.upTo(120), "all of them");
        equal(Account.numbers(c.readMany(ids.subList(7, 8), ObjectNode.class).getResults()), List.of(7), "one of them");
        equal(Account.numbers(c.readManyByPartitionKeys(List.of(new PartitionKey(Account.device(1)), new PartitionKey(Account.device(4))), ObjectNode.class)),
            Account.upTo(120).stream().filter(i -> i % 6 == 1 || i % 6 == 4).toList(), "of two partition keys");
    }

    private static void wholeKey() {
        CosmosContainer c = Account.create("whole");
        for (int i = 0; i < 30; i++) {
            c.createItem(Account.doc(i));
        }
        equal(Account.numbers(c.readAllItems(new PartitionKey(Account.device(2)), ObjectNode.class)), List.of(2, 8, 14, 20, 26), "of a key");
    }

    private static void unique() throws Exception {
        CosmosContainerProperties properties = new CosmosContainerProperties("unique", "/deviceId");
        properties.setUniqueKeyPolicy(new UniqueKeyPolicy().setUniqueKeys(List.of(new UniqueKey(List.of("/eventId")))));
        CosmosContainer c = Account.create(properties, 10_000);
        c.createItem(object("{'id':'1','deviceId':'d1','eventId':'e'}"));
        fails(409, "(?i)unique", () -> c.createItem(object("{'id':'2','deviceId':'d1','eventId':'e'}")));
        c.createItem(object("{'id':'2','deviceId':'d2','eventId':'e'}"));
        c.upsertItem(object("{'id':'1','deviceId':'d1','eventId':'e','n':1}"));
    }

    private static void refused() throws Exception {
        CosmosContainer c = Account.create("refused");
        equal(fails(400, "", () -> c.createItem(object("{'id':'1','deviceId':'d1'}"), new PartitionKey("other"), null)).getSubStatusCode(), 1001, "sub-status");
        fails(413, "", () -> c.createItem(object("{'id':'1','deviceId':'d1'}").put("text", "x".repeat(2_200_000))));
        fails(404, "", () -> Account.opened("nowhere").createItem(object("{'id':'1','deviceId':'d1'}")));
        c.createItem(object("{'id':'1','deviceId':'d1'}").put("text", "x".repeat(1_900_000)));
        equal(c.readItem("1", KEY, ObjectNode.class).getItem().get("text").asText().length(), 1_900_000, "a large item");
    }
}
