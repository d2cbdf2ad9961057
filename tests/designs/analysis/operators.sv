// Every operator and every kind of state that the analyses understand, each with its own output.
module operators (
    input  logic        clk,
    input  logic        rst,
    input  logic        rst_n,
    input  logic        en,
    input  logic [7:0]  a,
    input  logic [7:0]  b,
    input  logic [4:0]  n,
    input  logic signed [7:0] sa,
    input  logic signed [5:0] sb,
    input  logic [1:0]  be,
    output logic [15:0] add, sub, mul, div, mod, pow,
    output logic [15:0] sadd, ssub, smul, sdiv, smod, mixed,
    output logic [7:0]  vdiv, vmod,
    output logic signed [7:0] svdiv, svmod,
    output logic [15:0] shl, shr, sshl, sshr, wide_shr, narrow_sshr, unsigned_sshr, by_signed,
    output logic [11:0] compare,
    output logic [9:0]  reduce,
    output logic [5:0]  logical,
    output logic [15:0] concat, replicated,
    output logic [7:0]  selects,
    output logic [1:0]  indexed_up, indexed_down,
    output logic        bit_of,
    output logic [3:0]  cases, casezs, uniques, nested, priorities, overlapping,
    output logic [15:0] extended, inverted, negated,
    output logic [7:0]  r_plain, r_en, r_sync, r_sync_en, r_en_sync, r_async, r_async_en, r_low,
    output logic [7:0]  ram, ram_bytes, ram_two, rom_initial, rom_case, rom_rom,
    output logic [7:0]  fields, elements, shifted,
    output logic [15:0] functional, looped
);
    assign add = a + b;
    assign sub = a - b;
    assign mul = a * b;
    assign div = a / 8'd7;
    assign mod = a % 8'd7;
    assign pow = a * a;
    assign sadd = sa + sb;
    assign ssub = sa - sb;
    assign smul = sa * sb;
    assign sdiv = sa / 3;
    assign smod = sa % -3;
    assign mixed = sa + b;
    assign vdiv = a / b;
    assign vmod = a % b;
    assign svdiv = sa / sb;
    assign svmod = sa % sb;

    assign shl = a << n;
    assign shr = a >> n;
    assign sshl = sa <<< n;
    assign sshr = sa >>> n;
    assign wide_shr = sa >> n[2:0];
    assign narrow_sshr = {8'd0, 8'(sb >>> n[1:0])};
    assign unsigned_sshr = (a + 16'd0) >>> n;
    assign by_signed = a << sb;

    assign compare = {
        a < b, a <= b, a > b, a >= b, a == b, a != b,
        sa < sb, sa <= sb, sa > sb, sa >= sb, sa == sb, sa < b
    };
    assign reduce = {&a, |a, ^a, ~&a, ~|a, ~^a, &sb, |n, ^{a, b}, !a};
    assign logical = {a && b, a || b, !n, a[0] && !b[1], en ? a[2] : b[2], n === 5'd3};

    assign concat = {a[3:0], sb, n[4], b[7:3]};
    assign replicated = {{3{a[1:0]}}, {2{n}}};
    assign selects = {a[6:3], b[4], n[3:1]};
    logic [9:0] ten;
    assign ten = {b[1:0], a};
    assign indexed_up = ten[n[2:0] +: 2];
    assign indexed_down = ten[n[2:0] + 4'd1 -: 2];
    assign bit_of = a[n[2:0]];

    always_comb begin
        case (n[2:0])
            3'd0: cases = a[3:0];
            3'd1, 3'd2: cases = b[3:0];
            3'd5: cases = 4'd9;
            default: cases = a[7:4];
        endcase
        casez (n)
            5'b1????: casezs = a[3:0];
            5'b01???: casezs = b[3:0];
            5'b001?1: casezs = 4'd7;
            default:  casezs = 4'd1;
        endcase
        unique case (n[1:0])
            2'd0: uniques = a[3:0];
            2'd1: uniques = b[3:0];
            2'd2: uniques = a[7:4];
            2'd3: uniques = b[7:4];
        endcase
        nested = 4'd0;
        if (a[0]) begin
            if (a[1]) nested = b[3:0];
            else if (b[0]) nested = 4'd3;
        end else if (a[2]) nested = 4'd5;
        priorities = 4'd0;
        for (int i = 0; i < 8; i++) if (a[i]) priorities = 4'(i + 1);
        case (1'b1)
            a[0]: overlapping = 4'd1;
            a[1]: overlapping = 4'd2;
            b[0]: overlapping = 4'd4;
            default: overlapping = 4'd8;
        endcase
    end

    assign extended = sb;
    assign inverted = ~sb;
    assign negated = -sa;

    always_ff @(posedge clk) begin
        r_plain <= a ^ r_plain;
        if (en) r_en <= b + r_en;
        if (rst) r_sync <= 8'h5a; else r_sync <= r_sync + a;
        if (rst) r_sync_en <= 8'h11; else if (en) r_sync_en <= r_sync_en + a;
        if (en) begin
            if (rst) r_en_sync <= 8'h22; else r_en_sync <= r_en_sync + b;
        end
    end
    always_ff @(posedge clk or negedge rst_n)
        if (!rst_n) r_async <= 8'h33; else r_async <= r_async + a;
    always_ff @(posedge clk or posedge rst)
        if (rst) r_async_en <= 8'h44; else if (en) r_async_en <= r_async_en + b;
    always_ff @(posedge clk or negedge rst_n)
        if (!rst_n) r_low[3:0] <= 4'h6; else r_low <= {r_low[3:0], a[3:0]};

    logic [7:0] words[8];
    logic [15:0] pairs[4];
    logic [7:0] ports[5];
    always_ff @(posedge clk) if (en) words[n[2:0]] <= a;
    assign ram = words[b[2:0]];
    always_ff @(posedge clk) begin
        if (be[0]) pairs[n[1:0]][7:0] <= a;
        if (be[1]) pairs[n[1:0]][15:8] <= b;
    end
    assign ram_bytes = pairs[a[1:0]][7:0] ^ pairs[b[1:0]][15:8];
    always_ff @(posedge clk) begin
        if (be[0] && n < 5) ports[n[2:0]] <= a;
        if (be[1] && b[2:0] < 5) ports[b[2:0]] <= b;
    end
    assign ram_two = ports[a[1:0]];

    logic [7:0] table_i[16];
    initial for (int i = 0; i < 16; i++) table_i[i] = 8'(i * 37 + 11);
    assign rom_initial = table_i[n[3:0]];
    assign rom_rom = table_i[table_i[n[3:0]][3:0]];
    always_comb
        case (n[3:0])
            4'h0: rom_case = 8'h63;
            4'h1: rom_case = 8'h7c;
            4'h2: rom_case = 8'h77;
            4'h3: rom_case = 8'h7b;
            4'h4: rom_case = 8'hf2;
            4'h5: rom_case = 8'h6b;
            4'h9: rom_case = 8'h01;
            4'hf: rom_case = 8'h76;
            default: rom_case = {4'd0, n[3:0]};
        endcase

    typedef struct packed { logic [2:0] x; logic signed [3:0] y; logic z; } record;
    record one;
    assign one = a;
    assign fields = {one.z, one.x, 4'(one.y >>> 1)};
    logic [3:0][1:0] grid;
    assign grid = b;
    assign elements = {grid[n[1:0]], grid[0], grid[3 - n[1:0]], grid[n[3:2]]};
    logic [7:0] sum;
    always_comb begin
        sum = a;
        sum[3:0] = sum[3:0] + b[3:0];
        sum[n[2:0]] = en;
    end
    assign shifted = sum;

    function automatic logic [15:0] twice(input logic [7:0] x);
        return {x, x} + 16'd3;
    endfunction
    assign functional = twice(a ^ b);
    always_comb begin
        looped = 16'd0;
        for (int i = 0; i < 8; i++) looped = looped + (b[i] ? 16'(a) << i : 16'd0);
    end
endmodule
