/* Runs a target on the files and folders named, without libFuzzer. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t input[1 << 20];
static char name[4096];
static unsigned long done;

static void run_file(const char *file) {
  FILE *f = fopen(file, "rb");
  if (!f) {
    perror(file);
    exit(1);
  }
  size_t n = fread(input, 1, sizeof input, f);
  fclose(f);
  if (getenv("VERBOSE")) fprintf(stderr, "%s\n", file); /* the last one named is the one that the process died of */
  uint8_t *copy = malloc(n); /* of its exact size, so that reading past it shows */
  if (!copy && n > 0) abort();
  for (size_t i = 0; i < n; i++) copy[i] = input[i];
  LLVMFuzzerTestOneInput(copy, n);
  free(copy);
  done++;
}

int main(int argc, char **argv) {
  LLVMFuzzerInitialize(&argc, &argv);
  for (int i = 1; i < argc; i++) {
    struct dirent **entries;
    int n = scandir(argv[i], &entries, NULL, alphasort); /* always in the same order */
    if (n < 0) run_file(argv[i]);
    for (int k = 0; k < n; k++) {
      snprintf(name, sizeof name, "%s/%s", argv[i], entries[k]->d_name);
      if (entries[k]->d_name[0] != '.') run_file(name);
      free(entries[k]);
    }
    if (n >= 0) free(entries);
  }
  printf("%lu inputs\n", done);
  return 0;
}
