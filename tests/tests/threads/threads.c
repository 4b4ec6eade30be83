/*
 * Runs a script in several threads of one PHP: threads SCRIPT THREADS ROUNDS [stay]
 *
 * Each thread runs the script ROUNDS times, each time in its own request, with $thread and $round set. Then the thread and its PHP
 * end. With "stay" the threads, with their PHP, still exist when the module shuts down. PHPRC names the directory of php.ini.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sapi/embed/php_embed.h>

#ifndef ZTS
# error "this PHP has no threads"
#endif

static const char *script;
static int rounds;
static int stay;
static pthread_barrier_t done, ended;

static int run(int thread, int round)
{
    char code[4096];
    int failed = 0;

    if (php_request_startup() == FAILURE) {
        return 1;
    }
    SG(headers_sent) = 1;
    SG(request_info).no_headers = 1;
    snprintf(code, sizeof code, "$thread = %d; $round = %d; require '%s';", thread, round, script);
    zend_first_try {
        failed = zend_eval_string_ex(code, NULL, "threads", 1) == FAILURE;
    } zend_catch {
        failed = 1;
    } zend_end_try();
    php_request_shutdown(NULL);
    return failed;
}

static void *body(void *number)
{
    long failed = 0;

    ts_resource(0);
    for (int round = 0; round < rounds; round++) {
        failed += run((int) (long) number, round);
    }
    if (stay) {
        pthread_barrier_wait(&done);
        pthread_barrier_wait(&ended);
    } else {
        ts_free_thread();
    }
    return (void *) failed;
}

int main(int argc, char **argv)
{
    long failed = 0;

    if (argc < 4) {
        fputs("threads SCRIPT THREADS ROUNDS [stay]\n", stderr);
        return 2;
    }
    script = argv[1];
    int count = atoi(argv[2]);
    rounds = atoi(argv[3]);
    stay = argc > 4 && strcmp(argv[4], "stay") == 0;
    pthread_t threads[count];
    pthread_barrier_init(&done, NULL, count + 1);
    pthread_barrier_init(&ended, NULL, count + 1);

    if (php_embed_init(1, argv) == FAILURE) {
        return 2;
    }
    for (long number = 0; number < count; number++) {
        pthread_create(&threads[number], NULL, body, (void *) number);
    }
    if (stay) {
        pthread_barrier_wait(&done);
        php_embed_shutdown();
        pthread_barrier_wait(&ended);
    }
    for (int number = 0; number < count; number++) {
        void *of_thread;
        pthread_join(threads[number], &of_thread);
        failed += (long) of_thread;
    }
    if (!stay) {
        php_embed_shutdown();
    }
    return failed != 0;
}
