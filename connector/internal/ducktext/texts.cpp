// DuckDB reports that its memory is exhausted by a C++ exception, also out of
// the function of its C interface that sets a text. An exception that meets Go
// on its way ends the process, so it is caught here.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>

// Of DuckDB's C interface. Weak, since the library is linked by the driver.
extern "C" __attribute__((weak)) void duckdb_vector_assign_string_element_len(void *vector, uint64_t row, const char *text,
                                                                              uint64_t length);

// millrace_set_texts sets rows 0 to count-1 of a vector: text i lies between
// ends[i-1] (0 for the first) and ends[i]. Rows whose skip is not 0 are left
// alone. It returns 0, or 1 and a message.
extern "C" int millrace_set_texts(void *vector, const char *texts, const int64_t *ends, const uint8_t *skip, int64_t count,
                                  char *message, size_t room) {
	const char *why = "DuckDB is not linked";
	try {
		if (duckdb_vector_assign_string_element_len != nullptr) {
			int64_t start = 0;
			for (int64_t i = 0; i < count; start = ends[i], i++) {
				if (!skip[i]) {
					duckdb_vector_assign_string_element_len(vector, (uint64_t)i, texts + start, (uint64_t)(ends[i] - start));
				}
			}
			return 0;
		}
	} catch (const std::exception &e) {
		std::strncpy(message, e.what(), room - 1);
		message[room - 1] = 0;
		return 1;
	} catch (...) {
		why = "an unknown error";
	}
	std::strncpy(message, why, room - 1);
	message[room - 1] = 0;
	return 1;
}
