package cosmosdb;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.regex.Pattern;

/**
 * Runs checks one after the other and prints a line for each: "ok NAME" or
 * "FAIL NAME: DETAIL". The last line is "done N", so that what ended early is
 * not taken for what passed.
 */
final class Runner {
    interface Work {
        void run() throws Exception;
    }

    private record Check(String name, int seconds, Work work) {}

    private static final List<Check> checks = new ArrayList<>();
    private static final Deque<AutoCloseable> closers = new ArrayDeque<>();

    private Runner() {}

    static String need(String name) {
        String value = System.getenv(name);
        if (value == null || value.isEmpty()) {
            System.err.println(name + " is not set");
            System.exit(2);
        }
        return value;
    }

    static void check(String name, Work work) {
        check(name, 180, work);
    }

    /** Adds a check that may take so many seconds. */
    static void check(String name, int seconds, Work work) {
        checks.add(new Check(name, seconds, work));
    }

    /** Has something closed when the check is over. */
    static synchronized <T extends AutoCloseable> T closing(T client) {
        closers.push(client);
        return client;
    }

    static void equal(Object got, Object want, String what) {
        if (!Objects.equals(got, want)) {
            throw new AssertionError(what + ": " + brief(got) + ", want " + brief(want));
        }
    }

    static void holds(boolean condition, String otherwise) {
        if (!condition) {
            throw new AssertionError(otherwise);
        }
    }

    private static String brief(Object value) {
        String text = String.valueOf(value);
        return text.length() < 400 ? text : text.substring(0, 400) + "... (" + text.length() + ")";
    }

    private static Throwable within(int seconds, Work work) {
        FutureTask<Void> task = new FutureTask<>(() -> {
            work.run();
            return null;
        });
        Thread thread = new Thread(task, "check");
        thread.setDaemon(true);
        thread.start();
        try {
            task.get(seconds, TimeUnit.SECONDS);
            return null;
        } catch (TimeoutException late) {
            return new AssertionError("not done after " + seconds + " s, at "
                + Arrays.toString(Arrays.stream(thread.getStackTrace()).limit(12).toArray()));
        } catch (Exception failed) {
            return failed.getCause() == null ? failed : failed.getCause();
        }
    }

    private static String tell(Throwable problem) {
        StringWriter text = new StringWriter();
        problem.printStackTrace(new PrintWriter(text));
        String line = text.toString().strip().replaceAll("\\s*\\n\\s*", " | ");
        return line.length() < 3000 ? line : line.substring(0, 3000);
    }

    /** Runs the checks whose names have the pattern, all if it is null, and ends the program. */
    static void runAll(String pattern) {
        Pattern only = Pattern.compile(pattern == null ? "" : pattern);
        int ran = 0;
        int failed = 0;
        for (Check check : checks) {
            if (!only.matcher(check.name).find()) {
                continue;
            }
            ran++;
            long started = System.nanoTime();
            Throwable problem = within(check.seconds, check.work);
            while (!closers.isEmpty()) {
                Throwable trouble = within(30, closers.pop()::close);
                problem = problem == null ? trouble : problem;
            }
            if (problem == null) {
                System.out.printf("ok %s (%d ms)%n", check.name, (System.nanoTime() - started) / 1_000_000);
            } else {
                failed++;
                System.out.println("FAIL " + check.name + ": " + tell(problem));
            }
        }
        System.out.println("done " + ran);
        // Threads of clients that a failed check left behind do not keep it alive.
        System.exit(failed > 0 ? 1 : 0);
    }
}
