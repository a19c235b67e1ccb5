package cosmosdb;

import static cosmosdb.Runner.check;
import static cosmosdb.Runner.holds;

import com.azure.cosmos.CosmosContainer;
import com.azure.cosmos.CosmosException;
import com.azure.cosmos.models.CompositePath;
import com.azure.cosmos.models.CompositePathSortOrder;
import com.azure.cosmos.models.CosmosContainerProperties;
import com.azure.cosmos.models.CosmosQueryRequestOptions;
import com.azure.cosmos.models.FeedResponse;
import com.azure.cosmos.models.IncludedPath;
import com.azure.cosmos.models.IndexingPolicy;
import com.azure.cosmos.models.PartitionKey;
import com.azure.cosmos.models.SqlParameter;
import com.azure.cosmos.models.SqlQuerySpec;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.DoubleNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.TreeMap;
import java.util.regex.Pattern;

/**
 * The query language: every entry of queries.json, within one logical partition
 * and over four physical ranges, in one page and in many.
 */
final class Queries {
    private record Place(String name, CosmosContainer container, CosmosQueryRequestOptions options, int page) {}

    private static boolean filled;

    private Queries() {}

    static void add() throws Exception {
        JsonNode data = Account.JSON.readTree(Path.of("queries.json").toFile());
        data.get("groups").fields().forEachRemaining(group -> check(group.getKey(), () -> {
            List<String> wrong = new ArrayList<>();
            for (Place place : places(data.get("documents"))) {
                for (JsonNode entry : group.getValue()) {
                    try {
                        run(place, entry);
                    } catch (AssertionError | RuntimeException err) {
                        wrong.add(place.name + ": " + entry.get("query").asText() + ": " + err);
                    }
                }
            }
            holds(wrong.isEmpty(), wrong.size() + " wrong:\n" + String.join("\n", wrong));
        }));
    }

    private static List<CompositePath> order(Object... paths) {
        List<CompositePath> all = new ArrayList<>();
        for (int i = 0; i < paths.length; i += 2) {
            all.add(new CompositePath().setPath((String) paths[i]).setOrder((CompositePathSortOrder) paths[i + 1]));
        }
        return all;
    }

    /** The same documents twice: all under one key, and under keys in four ranges. */
    private static List<Place> places(JsonNode documents) {
        if (!filled) {
            CompositePathSortOrder up = CompositePathSortOrder.ASCENDING;
            CompositePathSortOrder down = CompositePathSortOrder.DESCENDING;
            // Sorting by several properties needs these at the service.
            IndexingPolicy indexing = new IndexingPolicy().setIncludedPaths(List.of(new IncludedPath("/*"))).setCompositeIndexes(List.of(
                order("/type", up, "/n", down), order("/type", down, "/value", up, "/n", down), order("/value", up, "/n", up), order("/nested/x", down, "/n", up)));
            CosmosContainer single = Account.create(new CosmosContainerProperties("single", "/tenant").setIndexingPolicy(indexing), 400);
            CosmosContainer spread = Account.create(new CosmosContainerProperties("spread", "/deviceId").setIndexingPolicy(indexing), Account.FOUR_RANGES);
            for (JsonNode doc : documents) {
                single.createItem(doc);
                spread.createItem(doc);
            }
            filled = true;
        }
        CosmosContainer single = Account.opened("single");
        CosmosContainer spread = Account.opened("spread");
        CosmosQueryRequestOptions one = new CosmosQueryRequestOptions().setPartitionKey(new PartitionKey("t"));
        CosmosQueryRequestOptions all = new CosmosQueryRequestOptions();
        return List.of(new Place("in one partition", single, one, 100), new Place("in one partition, in pages of 2", single, one, 2),
            new Place("over all", spread, all, 100), new Place("over all, in pages of 2", spread, all, 2));
    }

    private static void run(Place place, JsonNode entry) {
        SqlQuerySpec query = new SqlQuerySpec(entry.get("query").asText());
        List<SqlParameter> parameters = new ArrayList<>();
        entry.path("parameters").fields().forEachRemaining(p -> parameters.add(new SqlParameter(p.getKey(), p.getValue())));
        query.setParameters(parameters);
        String refusal = entry.path("fails").asText(null);
        if (refusal == null) {
            // What the client cannot do over several ranges. It asks for a plan
            // and follows it within one partition as well.
            refusal = entry.path("crossing").path("java").asText(null);
        }
        ArrayNode got = Account.JSON.createArrayNode();
        try {
            for (FeedResponse<JsonNode> page : place.container.queryItems(query, place.options, JsonNode.class).iterableByPage(place.page)) {
                page.getResults().forEach(got::add);
            }
        } catch (RuntimeException err) {
            if (refusal == null || !Pattern.compile(refusal).matcher(String.valueOf(err.getMessage())).find()) {
                throw err;
            }
            if (entry.has("fails") && err instanceof CosmosException refused) {
                Runner.equal(refused.getStatusCode(), 400, "status");
            }
            return;
        }
        holds(refusal == null, "not refused, but " + got);
        String text = entry.get("query").asText();
        Runner.equal(texts(got, text), texts(entry.get("want"), text), "results");
    }

    /** Results as texts that can be compared: what the client itself makes of values is evened out. */
    private static List<String> texts(JsonNode values, String query) {
        List<String> all = new ArrayList<>();
        for (JsonNode value : values) {
            spread(value, query, all);
        }
        if (!query.contains("ORDER BY")) {
            all.sort(Comparator.naturalOrder());
        }
        return all;
    }

    /**
     * Adds a result, or if that is an array what is in it: if a page has one
     * result and that is an array, the client takes the array for the page.
     */
    private static void spread(JsonNode value, String query, List<String> all) {
        if (value.isArray()) {
            value.forEach(v -> spread(v, query, all));
        } else {
            all.add(canonical(value, query).toString());
        }
    }

    /** The same value with members in the order of their names, and numbers of one kind. */
    private static JsonNode canonical(JsonNode value, String query) {
        if (value.isNumber()) {
            return DoubleNode.valueOf(value.asDouble());
        }
        if (value.isArray()) {
            ArrayNode all = Account.JSON.createArrayNode();
            value.forEach(v -> all.add(canonical(v, query)));
            return all;
        }
        if (value.isObject()) {
            TreeMap<String, JsonNode> members = new TreeMap<>();
            value.fields().forEachRemaining(m -> members.put(m.getKey(), canonical(m.getValue(), query)));
            if (query.contains("GROUP BY")) {
                members.values().removeIf(JsonNode::isNull); // as the client does
            }
            ObjectNode object = Account.JSON.createObjectNode();
            members.forEach(object::set);
            return object;
        }
        return value;
    }
}
