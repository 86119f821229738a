// rank_program.c - what ranks of the tests do: one small MPI program, its first argument says what.
//
// Prints the size of its world, without which N singletons would look like N ranks.

#include <mpi.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int rank, size;

// Ends the gang with a code that no other test expects.
static int fail(const char* what) {
  fprintf(stderr, "rank %d: wrong: %s\n", rank, what);
  MPI_Abort(MPI_COMM_WORLD, 99);
  return 1;
}

static int allreduce(void) {
  for (int count = 1; count <= 65536; count *= 4) {
    long* in = malloc(sizeof(long) * (size_t)count);
    long* out = malloc(sizeof(long) * (size_t)count);
    for (int i = 0; i < count; ++i) in[i] = rank + i;
    MPI_Allreduce(in, out, count, MPI_LONG, MPI_SUM, MPI_COMM_WORLD);
    for (int i = 0; i < count; ++i)
      if (out[i] != (long)size * (size - 1) / 2 + (long)size * i) return fail("sum");
    free(in);
    free(out);
  }
  return 0;
}

// A window that the ranks of a node share: each writes its place, all read all.
static int shared_window(void) {
  MPI_Comm node;
  MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank, MPI_INFO_NULL, &node);
  int local, locals;
  MPI_Comm_rank(node, &local);
  MPI_Comm_size(node, &locals);
  int* mine;
  MPI_Win window;
  MPI_Win_allocate_shared(sizeof(int), sizeof(int), MPI_INFO_NULL, node, &mine, &window);
  MPI_Win_fence(0, window);
  *mine = 1000 + rank;
  MPI_Win_fence(0, window);
  int sum = 0;
  for (int i = 0; i < locals; ++i) {
    MPI_Aint bytes;
    int unit;
    int* theirs;
    MPI_Win_shared_query(window, i, &bytes, &unit, &theirs);
    sum += *theirs;
  }
  int expected = 0, own = 1000 + rank;
  MPI_Allreduce(&own, &expected, 1, MPI_INT, MPI_SUM, node);
  if (sum != expected) return fail("shared window");
  MPI_Win_free(&window);
  printf("rank %d: node of %d\n", rank, locals);
  return 0;
}

static int publish(void) {
  char port[MPI_MAX_PORT_NAME] = "";
  if (rank == 0) {
    MPI_Open_port(MPI_INFO_NULL, port);
    MPI_Publish_name("leat-test", MPI_INFO_NULL, port);
    MPI_Comm other;
    MPI_Comm_accept(port, MPI_INFO_NULL, 0, MPI_COMM_SELF, &other);
    int value = 0;
    MPI_Recv(&value, 1, MPI_INT, 0, 0, other, MPI_STATUS_IGNORE);
    if (value != 42) return fail("value through the port");
    MPI_Comm_disconnect(&other);
    MPI_Unpublish_name("leat-test", MPI_INFO_NULL, port);
    MPI_Close_port(port);
  }
  if (rank == size - 1) {
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    while (MPI_Lookup_name("leat-test", MPI_INFO_NULL, port) != MPI_SUCCESS) {
    }
    MPI_Comm other;
    MPI_Comm_connect(port, MPI_INFO_NULL, 0, MPI_COMM_SELF, &other);
    int value = 42;
    MPI_Send(&value, 1, MPI_INT, 0, 0, other);
    MPI_Comm_disconnect(&other);
  }
  return 0;
}

static int is(const char* what, const char* name) {
  return strcmp(what, name) == 0;
}

int main(int count, char** values) {
  const char* what = count > 1 ? values[1] : "hello";
  const char* mine = getenv("LEAT_RANK");
  const int last = mine != NULL && atoi(mine) == atoi(getenv("LEAT_RANK_COUNT")) - 1;
  if (is(what, "early") && last) return 0;
  if (is(what, "early-5") && last) return 5;
  MPI_Init(&count, &values);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  printf("rank %d of %d\n", rank, size);
  fflush(stdout);
  if (is(what, "allreduce") && allreduce() != 0) return 1;
  if (is(what, "shared") && shared_window() != 0) return 1;
  if (is(what, "publish") && publish() != 0) return 1;
  // Or others are still in MPI_Init, where MPICH looks for our memory, and fail there first.
  if (is(what, "killed") || is(what, "unfinalized")) MPI_Barrier(MPI_COMM_WORLD);
  if (is(what, "abort") && rank == size - 1) MPI_Abort(MPI_COMM_WORLD, 7);
  if (is(what, "killed") && rank == size - 1) raise(SIGKILL);
  if (is(what, "unfinalized") && rank == size - 1) _exit(0);
  if (is(what, "stubborn")) {
    signal(SIGTERM, SIG_IGN);
    if (rank == size - 1) MPI_Abort(MPI_COMM_WORLD, 9);
  }
  if (is(what, "wait")) pause();
  MPI_Barrier(MPI_COMM_WORLD);
  MPI_Finalize();
  return is(what, "late-3") && rank == 0 ? 3 : 0;
}
