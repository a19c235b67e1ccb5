package cosmosdb;

import java.nio.file.Path;

/** Checks of a Cosmos DB server with the client for Java, in gateway mode. */
public final class Main {
    private Main() {}

    /** Runs the checks whose names have the pattern args[1], of the part args[0]: over TLS, or plain. */
    public static void main(String[] args) throws Exception {
        // The client asks the machine it is on about itself, which only
        // machines of a cloud answer.
        System.setProperty("COSMOS.DISABLE_IMDS_ACCESS", "true");
        if (args[0].equals("plain")) {
            System.setProperty("COSMOS.HTTP_CONNECTION_WITHOUT_TLS_ALLOWED", "true");
            Limits.plain();
        } else {
            Account.trust(Path.of(Runner.need("COSMOSDB_CA")));
            Resources.add();
            Items.add();
            Batches.add();
            Queries.add();
            Feeds.add();
            Changes.add();
            Limits.add();
        }
        Runner.runAll(args.length > 1 ? args[1] : null);
    }
}
